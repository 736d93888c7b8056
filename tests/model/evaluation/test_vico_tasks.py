"""The held-out split of a VICO data set, and scenes to be put in order, as tasks of evaluate-video-xl."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_answerers import FakeAnswerer, cheat
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.benchmarks.vico_held_out import TASKS as HELD_OUT
from model.evaluation.benchmarks.vico_held_out import minutes_up_to
from model.evaluation.benchmarks.vico_reorder import SCENES, in_place, numbers_named, pairs_in_order, whole_order
from model.evaluation.benchmarks.vico_reorder import TASKS as REORDER
from model.evaluation.evaluate import evaluate, group_looks
from model.evaluation.evaluate_command import run
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Reply
from model.evaluation.task import AnswerRow, BadDataError, MissingDataError
from pipeline.decode import UnreadableVideoError
from schemas.uniform_frames import uniform_indexes
from tests.generated_sets import write_generated_set

[held_out], [reorder] = HELD_OUT, REORDER


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder for --data: two videos of 20 clips, every sample and clip of which is held out."""
    folder = tmp_path_factory.mktemp("data")
    write_generated_set(folder / "VICO", videos=2, samples=24, clips=20)
    for table in ("samples", "clips"):
        path = folder / "VICO" / "data" / table / "train-00000.parquet"
        path.rename(path.with_name("test-00000.parquet"))
    return folder


def rows(data: Path, table: str) -> list[dict]:
    folder = data / "VICO" / "data" / table
    return [row for path in folder.glob("*.parquet") for row in pq.read_table(path).to_pylist()]


def answers(task, data: Path, out: Path, answerer, policy: FramePolicy) -> list[AnswerRow]:
    files = AnswerFiles(out)
    with files.writing({}):
        evaluate(task, group_looks(task.questions(data)), answerer, policy, files)
    return list(files.read().values())


def test_every_held_out_sample_is_asked_in_its_own_words(data):
    questions = {question.question_id: question for question in held_out.questions(data)}
    samples = rows(data, "samples")
    assert questions.keys() == {row["sample_id"] for row in samples}
    for row in samples:
        question = questions[row["sample_id"]]
        assert f"<image>\n{question.prompt}" == row["conversations"][0]["value"]
        assert question.viewing.video == row["video_id"]
        if row["format"] == "multiple_choice":
            assert question.options["ABCD".index(question.answer)] == row["answer"]
        else:
            assert question.teacher_forced
            assert question.answer == row["conversations"][1]["value"]
        assert held_out.score(question, Reply(f"({question.answer}) words", forced=True)).value == 1
        assert held_out.score(question, Reply("(no) words", forced=False)).value == 0
    assert len(group_looks(list(questions.values()))) == 2  # one look a video


def test_frames_are_chosen_by_the_trainers_rule(data):
    [question, *_] = held_out.questions(data)
    viewing = question.viewing
    whole = list(viewing.pictures(FramePolicy(10_000, fps=1)))
    assert [time_s for time_s, _ in whole] == [float(second) for second in range(280)]
    assert whole[0][1].shape == (36, 64, 3)
    for policy, expected in ((FramePolicy(24), uniform_indexes(280, 24)),
                             (FramePolicy(10_000, fps=0.5), uniform_indexes(280, 140)),
                             (FramePolicy(32, fps=1), uniform_indexes(280, 32))):
        some = list(viewing.pictures(policy))
        assert [time_s for time_s, _ in some] == expected.tolist()
        assert all(np.array_equal(picture, whole[int(time_s)][1]) for time_s, picture in some)
    kind = type(viewing)
    mixed = kind(viewing.root, viewing.video, None, None, (50, 3, 4), viewing.table)
    assert [time_s for time_s, _ in mixed.pictures(FramePolicy(10))] == [50.0, 3.0, 4.0]
    part = kind(viewing.root, viewing.video, 14.0, 28.0, (), viewing.table)
    assert [time_s for time_s, _ in part.pictures(FramePolicy(100))] == [float(second) for second in range(14, 28)]
    with pytest.raises(UnreadableVideoError):
        list(kind(viewing.root, "none", None, None, (), viewing.table).pictures(FramePolicy(1)))
    assert part == kind(viewing.root, viewing.video, 14.0, 28.0, (), viewing.table)
    assert len({part, mixed}) == 2


def test_figures_by_kind_span_distance_and_evidence(data, tmp_path):
    few, many = FramePolicy(20), FramePolicy(100)
    found = answers(held_out, data, tmp_path / "many", cheat_in_brackets(), many)
    figures = {figure.name: figure.estimate for figure in held_out.figures(found)}
    letters = [row for row in rows(data, "samples") if row["format"] == "multiple_choice"]
    assert figures["overall"].mean == len(letters) / 24  # a text is no forced answer
    assert figures["format: multiple_choice"].mean == 1
    assert figures["span: up to 10 min"].questions == 24  # 280 seconds
    assert figures["distance: up to  3 min"].questions == 24
    assert figures["kind: when"].questions == sum(row["kind"] == "when" for row in letters)
    assert figures["evidence: shown"].questions == 24
    assert "evidence: not shown" not in figures
    found = answers(held_out, data, tmp_path / "few", cheat_in_brackets(), few)
    assert {figure.name for figure in held_out.figures(found)} >= {"evidence: not shown"}


def cheat_in_brackets() -> FakeAnswerer:
    return FakeAnswerer(lambda question: f"({question.answer}) as it happens")


def test_of_twins_both_must_be_right():
    def row(name: str, twin_of: str, score: float) -> AnswerRow:
        attributes = {"kind": "order_events", "format": "multiple_choice", "span": "", "distance": "",
                      "min_frames": "0", "twin_of": twin_of}
        return AnswerRow(
            "vico-test", name, "film", "", [], "A", "letter", attributes, "", "A", score, 9, 9, "1", "vst", "")

    some = [row("a", "", 1), row("a2", "a", 1), row("b", "", 1), row("b2", "b", 0), row("c", "", 0), row("d2", "d", 1)]
    figures = {figure.name: figure.estimate for figure in held_out.figures(some)}
    assert (figures["twins, both right"].mean, figures["twins, both right"].questions) == (0.5, 2)
    alone = [figure.name for figure in held_out.figures(some[:1])]
    assert "twins, both right" not in alone


@pytest.mark.parametrize(("seconds", "group"), [
    (None, "none"), (59, "up to  1 min"), (180, "up to  3 min"), (181, "up to 10 min"), (3601, "over 60 min")])
def test_groups_of_lengths(seconds, group):
    assert minutes_up_to(seconds) == group


# ---- Scenes


def test_the_truth_puts_the_scenes_into_the_order_of_the_video(data):
    starts = {(row["video_id"], row["caption"]): row["start_s"] for row in rows(data, "clips")}
    questions = reorder.questions(data)
    assert len(questions) == 2 * 3  # of each video three minutes, the next three, and the whole
    for question in questions:
        listed = dict(re.findall(r"^\((\d)\) (.*)$", question.prompt, re.MULTILINE))
        assert len(listed) == SCENES
        times = [starts[question.viewing.video, listed[number]] for number in question.answer.split()]
        assert times == sorted(times)
        assert (question.viewing.start_s, question.viewing.end_s) == (times[0], times[-1] + 14)
    assert len({question.answer for question in questions}) > 1
    assert questions == reorder.questions(data)


def test_a_caption_that_comes_twice_is_no_scene(data, tmp_path):
    clips = rows(data, "clips")
    path = tmp_path / "VICO" / "data" / "clips" / "test-00000.parquet"
    path.parent.mkdir(parents=True)
    source = data / "VICO" / "data" / "clips" / "test-00000.parquet"
    (tmp_path / "VICO" / "manifest.json").write_text("{}")
    (tmp_path / "VICO" / "data" / "frames").symlink_to(data / "VICO" / "data" / "frames")
    schema = pq.read_schema(source)
    for row in clips:
        row["caption"] = "The same." if row["clip_index"] >= 4 else row["caption"]
    table = pq.read_table(source).from_pylist(clips, schema=schema)
    pq.write_table(table, path)
    with pytest.raises(BadDataError, match="5 different captions"):
        reorder.questions(tmp_path)


@pytest.mark.parametrize(("text", "read"), [
    ("2, 4, 1, 5, 3.", "24153"), ("(2) (4) (1)", "241"), ("Scene 3 is first, then 3, 1 and 16", "31"), ("none", ""),
    ("0 6 7", ""), ("24153", "24153"), ("3, then 12", "312"), ("1 to 10", "1"), ("22415", "2415")])
def test_numbers_are_read_in_the_order_in_which_they_are_named(text, read):
    assert "".join(numbers_named(text)) == read


@given(st.permutations("12345"), st.permutations("12345"), st.integers(0, 5))
def test_laws_of_scores(truth, said, cut):
    assert in_place(truth, truth) == pairs_in_order(truth, truth) == whole_order(truth, truth) == 1
    assert pairs_in_order(said, truth) + pairs_in_order(said[::-1], truth) == pytest.approx(1)
    assert (whole_order(said, truth) == 1) == (in_place(said, truth) == 1) == (pairs_in_order(said, truth) == 1)
    assert pairs_in_order(said[:cut], truth) <= pairs_in_order(said, truth)
    assert in_place(said[:cut], truth) <= in_place(said, truth)


def test_scores_by_hand():
    truth = list("12345")
    assert in_place(list("13245"), truth) == 0.6
    assert pairs_in_order(list("13245"), truth) == 0.9
    assert pairs_in_order(list("54321"), truth) == 0
    assert (in_place(list("12"), truth), pairs_in_order(list("12"), truth)) == (0.4, 0.1)
    assert whole_order(list("1234"), truth) == 0


def test_who_knows_the_order_and_who_says_one_two_three(data, tmp_path):
    found = answers(reorder, data, tmp_path / "cheat", cheat(), FramePolicy(4))
    figures = {figure.name: figure.estimate.mean for figure in reorder.figures(found)}
    assert {figures[name] for name in ("positions", "pairs", "whole order")} == {1.0}
    naive = answers(reorder, data, tmp_path / "naive", FakeAnswerer(lambda question: "1, 2, 3, 4, 5"), FramePolicy(4))
    truths = [question.answer.split() for question in reorder.questions(data)]
    figures = {figure.name: figure.estimate.mean for figure in reorder.figures(naive)}
    assert figures["positions"] == pytest.approx(np.mean([[a == b for a, b in zip(t, "12345", strict=True)]
                                                           for t in truths]))
    silent_one = FakeAnswerer(lambda question: "I do not know.")
    silent = answers(reorder, data, tmp_path / "silent", silent_one, FramePolicy(4))
    assert {figure.estimate.mean for figure in reorder.figures(silent)} == {0.0}


# ---- The command


def test_the_command_asks_a_model_that_looks_in_another_way(data, model, processor, tmp_path):
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    arguments = ["--model", str(tmp_path / "model"), "--data", str(data), "--device", "cpu", "--frames", "8", "--limit",
                 "1", "--task", "vico-test", "vico-reorder"]
    assert run([*arguments, "--out", str(tmp_path / "out"), "--method", "pool-time:2"]) == 0
    for task in ("vico-test", "vico-reorder"):
        found = pq.read_table(tmp_path / "out" / task / "answers.parquet").to_pylist()
        assert {(row["method"], row["ratio"], row["frames"]) for row in found} == {("pool-time:2", "2", 8)}
        results = json.loads((tmp_path / "out" / task / "results.json").read_text())
        assert results["settings"]["method"] == "pool-time:2"
        assert 0 <= results["figures"][0]["mean"] <= 1
    for wrong, words in ((["--method", "magic"], 2), (["--method", "vst:4", "--ratio", "8"], 2),
                         (["--method", "pool-space:3"], 2)):
        assert run([*arguments, "--out", str(tmp_path / "wrong"), *wrong]) == words


def test_a_missing_or_damaged_data_set_says_what_to_do(data, tmp_path):
    for task in (held_out, reorder):
        with pytest.raises(MissingDataError, match="build-vico"):
            task.questions(tmp_path)
    (tmp_path / "VICO" / "data" / "frames").mkdir(parents=True)
    (tmp_path / "VICO" / "manifest.json").write_text("{}")
    (tmp_path / "VICO" / "data" / "frames" / "train-00000.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadDataError, match="damaged"):
        held_out.questions(tmp_path)
