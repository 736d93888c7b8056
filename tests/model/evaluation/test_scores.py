"""Scorers: what one who knows, one who never does, one who guesses and one who always says A must come out as."""

from pathlib import Path

import pytest

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.evaluate import evaluate, group_looks
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question, Reply
from model.evaluation.task import AnswerRow, Figure
from model.evaluation.tasks import all_tasks
from model.evaluation.viewing import VideoStretch
from tests.model.evaluation.fake_answerers import FakeAnswerer, always_a, at_random, cheat, contrarian
from tests.model.evaluation.official_sets import OfficialSets

# Ours: test_vico_tasks.py, test_use_cases.py.
TASKS = {name: task for name, task in all_tasks().items() if task.folder not in ("VICO", "USE-CASES")}
SCORED = [name for name in TASKS if "generation" not in name and name != "nextqa-oe"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    OfficialSets(folder).all()
    return folder


def figures(name: str, data: Path, out: Path, answerer: FakeAnswerer) -> dict[str, Figure]:
    """Ask everything; two frames of each video are enough."""
    task, files = TASKS[name], AnswerFiles(out / name)
    questions = task.questions(data)
    with files.writing(answerer.settings):
        evaluate(task, group_looks(questions), answerer, FramePolicy(2), files)
    rows = files.read()
    assert rows.keys() == {question.question_id for question in questions}
    return {figure.name: figure for figure in task.figures(list(rows.values()))}


@pytest.mark.parametrize("name", SCORED)
def test_who_cheats_has_full_marks(name: str, data: Path, tmp_path: Path) -> None:
    found = figures(name, data, tmp_path, cheat())
    full = {"perception": 2000, "cognition": 800}
    for figure in found.values():
        assert figure.estimate.mean == pytest.approx(full.get(figure.name, 200 if name == "mme" else 1))


@pytest.mark.parametrize("name", SCORED)
def test_who_is_always_wrong_has_none(name: str, data: Path, tmp_path: Path) -> None:
    assert {figure.estimate.mean for figure in figures(name, data, tmp_path, contrarian()).values()} == {0}


@pytest.mark.parametrize(("name", "overall"), [
    ("mlvu-dev", 0), ("mlvu-test", 1 / 2), ("videomme", 1 / 4), ("longvideobench", 1 / 2), ("vnbench", 0),
    ("mvbench", 0), ("nextqa-mc", 1 / 2), ("mmbench", 1 / 2)])
def test_who_always_says_a_has_what_the_files_hold(name: str, overall: float, data: Path, tmp_path: Path) -> None:
    assert figures(name, data, tmp_path, always_a())["overall"].estimate.mean == overall


def test_one_of_four_tries_is_an_a_but_no_sample_is_right(data: Path, tmp_path: Path) -> None:
    found = figures("vnbench", data, tmp_path, always_a())
    assert found["single tries"].estimate.mean == 1 / 4
    assert found["overall"].estimate.questions == 2


def test_who_says_yes_to_everything_has_half_of_mmes_questions_and_no_image(data: Path, tmp_path: Path) -> None:
    found = figures("mme", data, tmp_path, FakeAnswerer(lambda question: "Yes, there is."))
    assert found["perception"].estimate.mean == pytest.approx(500)
    assert found["kind: OCR"].estimate.mean == pytest.approx(50)


def test_unread_answers_are_guessed_where_the_authors_do_and_wrong_elsewhere(data: Path, tmp_path: Path) -> None:
    silent = FakeAnswerer(lambda question: "no idea")
    for name in ("longvideobench", "nextqa-mc"):
        task = TASKS[name]
        read = [task.score(question, Reply("no idea")).read for question in task.questions(data)]
        assert None not in read
    assert figures("videomme", data, tmp_path, silent)["overall"].estimate.mean == 0


def row(kind: str, right: bool, **changes: str) -> AnswerRow:
    attributes = {"kind": kind, "type": kind, "ability": kind[:3], "sample": "s", "try": "0", **changes}
    return AnswerRow("t", "q", changes.get("video", "v"), "", [], "A", "letter", attributes, "A", "A", float(right), 2,
                     3, "8", "vst", "")


def test_mlvu_is_a_mean_over_kinds() -> None:
    """Kinds of 3, 1 and 1 questions: (1/3 + 1 + 0) / 3, not 2/5."""
    rows = [row("ego", True), row("ego", False), row("ego", False), row("count", True), row("order", False)]
    assert TASKS["mlvu-dev"].figures(rows)[0].estimate.mean == pytest.approx(4 / 9)


def test_vnbench_is_a_mean_over_types_of_samples_with_all_four_tries_right() -> None:
    """Of ret_edit one of two samples has all four, of cnt_edit1 the only one has three: (1/2 + 0) / 2."""
    rows = [row("ret_edit", True, sample="a", video="a") for _ in range(4)]
    rows += [row("ret_edit", number > 0, sample="b", video="b") for number in range(4)]
    rows += [row("cnt_edit1", number > 0, sample="c", video="c") for number in range(4)]
    found = {figure.name: figure.estimate.mean for figure in TASKS["vnbench"].figures(rows)}
    assert found == pytest.approx({
        "overall": 1 / 4, "ability: cnt": 0, "ability: ret": 1 / 2, "type: cnt_edit1": 0, "type: ret_edit": 1 / 2,
        "single tries": 10 / 12})


def test_vnbench_takes_a_letter_with_a_full_stop(data: Path, tmp_path: Path) -> None:
    talkative = FakeAnswerer(lambda question: f"{question.answer}. As I have seen.")
    assert figures("vnbench", data, tmp_path, talkative)["overall"].estimate.mean == 1


def test_mme_adds_questions_and_images_in_per_cent() -> None:
    """OCR: one image with both, one with one right: 75 % + 50 %. count: one image with none. Perception is the sum."""
    rows = [row("OCR", True, video="a"), row("OCR", True, video="a"), row("OCR", True, video="b"),
            row("OCR", False, video="b"), row("count", False, video="c"), row("count", False, video="c")]
    found = {figure.name: figure.estimate.mean for figure in TASKS["mme"].figures(rows)}
    assert found == pytest.approx({"perception": 125, "kind: OCR": 125, "kind: count": 0})


@pytest.mark.parametrize(("said", "score"), [
    ("Yes", 1), ("yes.", 1), ("Y", 1), ("Yes, it is", 1), ("No", 0), ("n", 0), ("It is yes", 0), ("", 0)])
def test_mme_reads_the_first_letters(said: str, score: float) -> None:
    question = Question("q", VideoStretch(Path("v")), "?", "yes_no", "yes")
    assert TASKS["mme"].score(question, Reply(said)).value == score


CHANCES = {
    "mlvu-dev": [1 / 4] * 8, "mlvu-test": [1 / 6] * 2, "videomme": [1 / 4] * 4, "videomme-subtitles": [1 / 4] * 4,
    "longvideobench": [1 / 5, 1 / 3], "vnbench": [1 / 4] * 8, "mvbench": [1 / 3] * 20, "nextqa-mc": [1 / 5] * 2,
    "mme": [1 / 2] * 56, "mmbench": [1 / 3, 1 / 3, 1 / 3, 1 / 2]}
"""How likely a guess is right, for each question of the sets."""


def guesses(name: str, data: Path, times: int, seed: int) -> list[AnswerRow]:
    """All questions asked again and again of one who guesses, each time as if about other videos."""
    task, seen, rows = TASKS[name], at_random(seed).look(iter(()), None), []
    questions = task.questions(data)
    for number in range(times):
        for question in questions:
            score = task.score(question, seen.reply(question))
            rows.append(AnswerRow(
                name, question.question_id, f"{question.viewing.video} {number}", "", [], question.answer,
                question.format, {**question.attributes, "sample": f"{question.attributes.get('sample')} {number}"}, "",
                score.read, score.value, 2, 3, "1", "fake", ""))
    return rows


@pytest.mark.parametrize("name", SCORED)
def test_guessing_gives_chance(name: str, data: Path) -> None:
    """The number of right guesses is a sum of binomial ones: within four standard deviations of what is expected."""
    chances = CHANCES[name]
    times = 2400 // len(chances)
    rows = guesses(name, data, times, seed=3)
    assert len(rows) == times * len(chances)
    spread = (times * sum(chance * (1 - chance) for chance in chances)) ** 0.5
    assert abs(sum(row.score for row in rows) - times * sum(chances)) < 4 * spread


@pytest.mark.parametrize(("name", "figure", "chance", "deviation"), [
    ("vnbench", "overall", 1 / 256, (1 / 256 * 255 / 256) ** 0.5),  # four right guesses of one in four
    ("mmbench", "overall", (1 / 27 + 1 / 2) / 2, 1 / 2),  # three of one in three, or one of one in two
    ("mme", "kind: OCR", 75, 75),  # an image gives 0, 50, 50 or 200: mean 300 / 4, variance 45,000 / 4 - 75^2 = 75^2
])
def test_guessing_gives_chance_where_several_questions_count_as_one(
    name: str, figure: str, chance: float, deviation: float, data: Path
) -> None:
    rows = guesses(name, data, times=2000 if name == "vnbench" else 200, seed=1)
    [found] = [one.estimate for one in TASKS[name].figures(rows) if one.name == figure]
    assert found.mean > 0
    assert abs(found.mean - chance) < 4 * deviation / found.questions ** 0.5
