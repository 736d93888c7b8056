"""The gallery in a real browser, opened from disk."""

from pathlib import Path

import pytest
from fake_answerers import FakeAnswerer
from playwright.sync_api import Page

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.benchmarks.use_cases import TASKS
from model.evaluation.benchmarks.vico_held_out import TASKS as HELD_OUT
from model.evaluation.evaluate import evaluate, group_looks
from model.evaluation.gallery import FORCED, main
from model.evaluation.question import Question, Reply
from model.evaluation.task import Task
from model.evaluation.use_cases.make import FOLDER, write_use_cases
from model.evaluation.use_cases.use_case_films import use_case_film
from tests.chromium import browser, page  # noqa: F401 (fixtures)
from tests.generated_sets import HOSTILE

[task] = TASKS
SECONDS, SEED = 48, 7


def answer_all(data: Path, folder: Path, say, task: Task = task) -> Path:
    """answers.parquet of a model that says what a function says."""
    files = AnswerFiles(folder)
    answerer = FakeAnswerer(say)
    with files.writing({}):
        evaluate(task, group_looks(task.questions(data)), answerer, task.policy, files)
    files.write_table(list(files.read().values()), {})
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    write_use_cases(folder, {"test": [SEED]}, SECONDS)
    return folder


@pytest.fixture(scope="module")
def gallery(data, tmp_path_factory) -> str:
    """The page of a model that says hostile things and looks at the second quarter of every video."""
    def say(question: Question) -> Reply:
        lines = [f"{number} {HOSTILE}".replace("\u2028", " ") for number in range(2)]
        if question.placing == "lines":
            return Reply("\n".join(lines), spans=((0.0, 12.0), (12.0, 48.0)))
        return Reply(f"(A) {HOSTILE}", forced=False, spans=((12.0, 24.0),) if question.placing else ())

    out = tmp_path_factory.mktemp("page")
    assert main([str(answer_all(data, out / "use-cases", say)), "--data", str(data), "--out", str(out / "p.html")]) == 0
    return (out / "p.html").as_uri()


def test_every_question_has_a_card_with_its_evidence(gallery, page: Page) -> None:  # noqa: F811
    page.goto(gallery)
    film, cards = use_case_film(SEED, SECONDS), page.locator("article")
    assert cards.count() == 7
    card = cards.filter(has_text="find_anomaly")
    anomaly = film.anomaly
    begin, end = (f"0:{int(second):02d}" for second in (anomaly.start_s, anomaly.end_s))
    shown = dict(zip(card.locator("> dl dt").all_inner_texts(), card.locator("> dl dd").all_inner_texts(), strict=True))
    assert shown["Right answer"] == f"The {anomaly.look[1]} {film.odd}."
    assert shown["Looked at"] == "0:12 to 0:24"
    assert shown["Shown at"] == f"{begin} to {end}"
    assert "span IoU" in card.inner_text()
    assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert card.locator(".stills .truth").count() >= 1


def test_the_bar_is_drawn_to_scale(gallery, page: Page) -> None:  # noqa: F811
    page.goto(gallery)
    card = page.locator("article").filter(has_text="find_advertisement")
    bar = card.locator("svg").bounding_box()
    piece = use_case_film(SEED, SECONDS).advertisement
    for name, start_s, end_s in (("found", 12, 24), ("truth", piece.start_s, piece.end_s)):
        box = card.locator(f"svg rect.{name}").bounding_box()
        assert (box["x"] - bar["x"]) / bar["width"] == pytest.approx(start_s / SECONDS, abs=0.005)
        assert box["width"] / bar["width"] == pytest.approx((end_s - start_s) / SECONDS, abs=0.005)
    lines = page.locator("article").filter(has_text="list_chapters").locator("svg rect.found")
    assert lines.count() == 2


def test_hostile_words_are_text(gallery, page: Page) -> None:  # noqa: F811
    page.goto(gallery)
    assert page.title() == "Answers and what they rest on"
    said = page.locator("article dd").all_text_contents()
    assert any(HOSTILE in one for one in said)
    assert page.locator("script, article [onerror]").count() == 0


def test_light_and_dark(gallery, page: Page) -> None:  # noqa: F811
    page.goto(gallery)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert sum(map(int, light[4:-1].split(","))) > 600 > 150 > sum(map(int, dark[4:-1].split(",")))


def test_fewer_cards_show_every_kind_first(data, tmp_path, capsys) -> None:
    folder = answer_all(data, tmp_path / "use-cases", lambda question: Reply("", forced=False))
    assert main([str(folder), "--data", str(data), "--out", str(tmp_path / "p.html"), "--most", "3"]) == 0
    page_of_three = (tmp_path / "p.html").read_text()
    assert page_of_three.count("<article") == page_of_three.count("<dt>Answered</dt>") == 3
    assert "3 questions" in capsys.readouterr().out


def test_words_that_were_forced_are_not_called_an_answer(data, tmp_path) -> None:
    """`vico-test` over the same films: three open questions with the answer in place, four with options."""
    (tmp_path / "VICO").symlink_to(data / FOLDER)
    [held_out] = HELD_OUT
    folder = answer_all(tmp_path, tmp_path / "vico-test", lambda question: Reply("A blue crown.", False), held_out)
    assert main([str(folder), "--data", str(tmp_path), "--out", str(tmp_path / "p.html")]) == 0
    cards = (tmp_path / "p.html").read_text().split("<article")[1:]
    named = [("<dt>Answered</dt><dd>A blue crown." in card, f"<dt>{FORCED}</dt><dd>A blue crown." in card,
              '<ol type="A">' in card) for card in cards]
    assert sorted(named) == 3 * [(False, True, False)] + 4 * [(True, False, True)]


def test_what_is_missing_is_named(data, tmp_path, capsys) -> None:
    out = str(tmp_path / "p.html")
    assert main([str(tmp_path), "--data", str(data), "--out", out]) == 2
    assert "evaluate-video-xl writes it" in capsys.readouterr().err
    folder = answer_all(data, tmp_path / "use-cases", lambda question: Reply("", forced=False))
    assert main([str(folder), "--data", str(tmp_path), "--out", out]) == 2
    assert "use_cases.make" in capsys.readouterr().err
    write_use_cases(tmp_path / "other", {"test": [SEED + 1]}, SECONDS)
    assert main([str(folder), "--data", str(tmp_path / "other"), "--out", out]) == 2
    assert "another data set" in capsys.readouterr().err
    (tmp_path / "other" / FOLDER / "manifest.json").unlink()
    assert not Path(out).exists()
