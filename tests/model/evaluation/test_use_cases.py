"""Use cases: films whose truth is known, the questions about them, and scores worked out by hand."""

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from fake_answerers import FakeAnswerer
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import pixels

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.benchmarks.use_cases import TASKS, spans_read, spans_told
from model.evaluation.evaluate import evaluate, group_looks
from model.evaluation.evaluate_command import run
from model.evaluation.question import Question, Reply
from model.evaluation.span_overlap import best_overlap, overlap, overlap_in_order
from model.evaluation.task import Score
from model.evaluation.use_cases.make import FOLDER, PIECES, main
from model.evaluation.use_cases.use_case_films import ODD, PRODUCTS, use_case_film
from model.evaluation.use_cases.use_case_questions import questions_about, questions_about_pieces
from model.evaluation.vst_answerer import VstAnswerer
from model.recipes import RECIPES
from model.training.train_on_shards_command import run as train
from pipeline.sample_videos import COLOURS, draw
from schemas.uniform_frames import uniform_indexes

[task] = TASKS
SPANS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 9)).map(lambda one: (one[0], one[0] + one[1])), max_size=4)


# ---- Films


@given(st.integers(0, 2**31), st.sampled_from([48, 64, 128]))
@settings(max_examples=40, deadline=None)
def test_every_film_has_chapters_an_advertisement_and_an_anomaly(seed, seconds):
    film = use_case_film(seed, seconds)
    scenes, events, chapters = film.script.scenes, film.script.events, film.chapters
    assert [piece.start_s for piece in chapters] == [0, *(piece.end_s for piece in chapters[:-1])]
    assert chapters[-1].end_s == scenes[-1].end_s == film.script.duration_s == seconds
    assert [scene.start_s for scene in scenes] == [0, *(scene.end_s for scene in scenes[:-1])]
    assert len(scenes) == len(chapters) + 2
    [inserted] = [scene for scene in scenes if scene.start_s == film.advertisement.start_s]
    assert inserted.end_s == film.advertisement.end_s
    around = [scene for scene in scenes if film.advertisement.start_s in (scene.start_s, scene.end_s)
              or scene.start_s == film.advertisement.end_s]
    assert around[0].name == around[2].name != inserted.name  # before and behind it the same chapter
    products = [event for event in events if event.subject.name in PRODUCTS]
    assert [(event.start_s, event.end_s) for event in products] == [
        (film.advertisement.start_s, film.advertisement.end_s)]
    odd = [event for event in events if event.action in ODD]
    assert [(event.start_s, event.end_s, event.action) for event in odd] == [
        (film.anomaly.start_s, film.anomaly.end_s, film.odd)]
    for event in events:
        chapter = next(piece for piece in chapters if piece.start_s <= event.start_s < piece.end_s)
        assert event in products or (event.subject.colour, event.subject.name) == chapter.look
    assert all(before.end_s <= after.start_s for before, after in pairwise(events))


def test_the_same_seed_gives_the_same_film():
    assert use_case_film(3, 64) == use_case_film(3, 64)
    assert use_case_film(3, 64) != use_case_film(4, 64)
    with pytest.raises(ValueError, match="at least"):
        use_case_film(3, 40)


def test_what_is_told_is_drawn():
    """The product's colour is there while it is advertised; the odd thing moves, the usual ones hardly do."""
    film = use_case_film(11, 48)
    frames = list(draw(film.script))

    def middle(second: float, colour: str) -> tuple[float, float, int]:
        shown = frames[round(second * film.script.fps)].astype(int)
        near = np.argwhere(np.linalg.norm(shown - np.array(COLOURS[colour]), axis=2) < 12)
        return (*near.mean(0), len(near)) if len(near) else (0, 0, 0)

    for second in range(int(film.advertisement.start_s), int(film.advertisement.end_s)):
        assert middle(second, film.advertisement.look[0])[2] > 40
    begin, end = (middle(second, film.anomaly.look[0]) for second in (film.anomaly.start_s, film.anomaly.end_s - 1))
    assert np.abs(np.subtract(begin, end)).max() > 8


def test_answers_agree_with_the_film():
    film = use_case_film(5, 64)
    asked = {one.kind: one for one in questions_about(film, Random(0))}
    assert len(asked) == 7
    colour, product = film.advertisement.look
    assert asked["find_advertisement"].answer in (f"A {colour} {product}.", f"An {colour} {product}.")
    assert asked["list_chapters"].answer.count("\n") == len(film.chapters) - 1
    quarter = "first second third last".split().index(asked["when_advertisement"].answer.split()[2])
    assert quarter * 16 <= (film.advertisement.start_s + film.advertisement.end_s) / 2 < (quarter + 1) * 16
    for one in asked.values():
        assert not one.options or (len(set(one.options)) == 4 and one.answer in one.options)
    for kind, recipe in (("find_advertisement", "find-advertisement"), ("find_anomaly", "anomaly"),
                         ("list_chapters", "chapters")):
        assert asked[kind].question == RECIPES[recipe].question


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_pieces_show_what_is_said_of_them_and_nothing_else(seed):
    film = use_case_film(seed, 64)
    asked = list(questions_about_pieces(film, Random(seed)))
    for start_s, end_s, one in asked:
        assert 0 <= start_s <= one.evidence[0].start_s < one.evidence[-1].end_s <= end_s <= 64
        if one.kind == "list_chapters":
            looks = [piece.look for piece in film.chapters if start_s < piece.end_s and piece.start_s < end_s]
            assert [line.strip(".").split()[1:] for line in one.answer.split("\n")] == [
                " ".join(look).split() for look in looks]
            continue
        [piece] = one.evidence
        inside = [event for event in film.script.events if piece.start_s < event.end_s and event.start_s < piece.end_s]
        [event] = inside
        shape = event.subject
        assert one.answer.lower().strip(".") in {
            f"a {shape.colour} {shape.name}", f"an {shape.colour} {shape.name}", f"the {shape.name} {event.action}"}
    products = [one.kind for _, _, one in asked if one.answer.lower().strip(".").endswith(PRODUCTS)]
    assert products == ["what_is_shown", *3 * ["find_advertisement"]]


# ---- Scores


def test_overlap_by_hand():
    assert overlap((2, 6), (4, 8)) == pytest.approx(2 / 6)
    assert overlap((2, 6), (6, 8)) == 0
    assert overlap((0, 64), (10, 14)) == pytest.approx(4 / 64)
    assert overlap((3, 3), (3, 3)) == 0
    assert best_overlap([(4, 8), (2, 6)], [(2, 6)]) == pytest.approx(2 / 6)  # the first one only
    assert best_overlap([], [(2, 6)]) == 0
    assert overlap_in_order([(0, 10), (10, 20)], [(0, 8), (8, 20)]) == pytest.approx((8 / 10 + 10 / 12) / 2)
    assert overlap_in_order([(0, 8)], [(0, 8), (8, 20)]) == 0.5
    assert overlap_in_order([(0, 8), (8, 9), (9, 20)], [(0, 8)]) == pytest.approx(1 / 3)


@given(SPANS, SPANS)
def test_laws_of_overlap(found, truth):
    assert overlap_in_order(found, truth) == overlap_in_order(truth, found)
    assert 0 <= overlap_in_order(found, truth) <= 1
    assert overlap_in_order(truth, truth) == (1 if truth else 0)
    assert spans_read(spans_told(truth)) == truth
    for one in truth:
        assert (overlap(one, one), best_overlap(truth[:1], truth[:1])) == (1, 1)


# ---- The data set and the task


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Four films to train on and six held out."""
    folder = tmp_path_factory.mktemp("use-cases")
    assert main([str(folder), "--train", "4", "--test", "6", "--seconds", "48"]) == 0
    return folder


def answers(data: Path, out: Path, say) -> dict[str, float]:
    files = AnswerFiles(out)
    with files.writing({}):
        evaluate(task, group_looks(task.questions(data)), FakeAnswerer(say), task.policy, files)
    rows = list(files.read().values())
    assert len(rows) == 6 * (7 + 3)
    return {figure.name: figure.estimate.mean for figure in task.figures(rows)}


def test_a_model_that_cheats_gets_everything(data, tmp_path):
    def cheat(question: Question) -> Reply:
        if question.placing is not None:
            return Reply("", spans=tuple(spans_read(question.attributes["evidence"])))
        return Reply(f"({question.answer}) so", forced=True)

    figures = answers(data, tmp_path, cheat)
    assert all(value == 1 for name, value in figures.items() if "without looking" not in name)
    assert figures["span IoU without looking, find_anomaly"] == pytest.approx(4 / 48)
    assert {"accuracy", "kind: which_chapter", "span IoU, find_advertisement"} <= set(figures)


def test_a_model_that_always_says_the_same(data, tmp_path):
    """'A' and the first half: what that is worth follows from the films alone."""
    half = (0.0, 24.0)
    figures = answers(data, tmp_path, lambda question: Reply("(A)", forced=False, spans=(half,)))
    films = [use_case_film(seed, 48) for seed in range(4, 10)]
    for kind, pieces in (("find_anomaly", [film.anomaly for film in films]),
                         ("find_advertisement", [film.advertisement for film in films])):
        common = [min(piece.end_s, 24) - piece.start_s if piece.start_s < 24 else 0 for piece in pieces]
        expected = np.mean([
            shared / (24 + (piece.end_s - piece.start_s) - shared)
            for shared, piece in zip(common, pieces, strict=True)])
        assert figures[f"span IoU, {kind}"] == pytest.approx(expected)
    ends = [film.chapters[0].end_s for film in films]
    by_chapter = [min(end, 24) / max(end, 24) / len(film.chapters) for end, film in zip(ends, films, strict=True)]
    assert figures["span IoU, list_chapters"] == pytest.approx(np.mean(by_chapter))
    assert figures["kind: list_chapters"] == 0
    letters = [row["answer_index"] for row in samples(data, "test") if row["format"] == "multiple_choice"]
    assert figures["format: multiple_choice"] == pytest.approx(letters.count(0) / len(letters))


def test_a_model_that_answers_at_random_is_at_chance(data, tmp_path):
    rng = Random(1)
    questions = [question for question in task.questions(data) if question.format == "letter"]
    scores = [task.score(question, Reply(f"({rng.choice('ABCD')})")).value for question in questions for _ in range(50)]
    assert np.mean(scores) == pytest.approx(0.25, abs=0.05)


def samples(data: Path, split: str) -> list[dict]:
    return pq.read_table(data / FOLDER / "data" / "samples" / f"{split}-00000.parquet").to_pylist()


def test_the_tables_hold_what_the_films_say(data, tmp_path):
    pieces = [row for row in samples(data, "train") if row["dataset"] == PIECES]
    rows = [row for row in samples(data, "train") if row not in pieces] + samples(data, "test")
    assert len(rows) == 10 * 7
    assert len(rows) + len(pieces) == json.loads((data / FOLDER / "manifest.json").read_text())["rows"]["samples"]
    assert len({row["sample_id"] for row in rows}) == 70
    assert not {row["video_id"] for row in samples(data, "train")} & {row["video_id"] for row in samples(data, "test")}
    assert len(list((data / "films").iterdir())) == 6
    for row in rows:  # each evidence keeps two frames where min_frames are shown
        shown = uniform_indexes(48, row["min_frames"])
        assert all(sum(one["start_s"] <= second < one["end_s"] for second in shown) >= 2 for one in row["evidence"])
    again = tmp_path / "again"
    main([str(again), "--train", "4", "--test", "0", "--seconds", "48"])
    assert samples(again, "train") == samples(data, "train")
    with pytest.raises(SystemExit):
        main([str(again), "--seconds", "47"])


def test_a_model_is_trained_on_them_and_asked(data, tmp_path, capsys):
    """A random tiny model, a step of training, and the whole command: parts that fit; nothing is learned by it."""
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps({
        "init": "scratch", "vocabulary": 300, "device": "cpu", "precision": "float32", "seed": 3,
        "sizes": {
            "text": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                     "num_key_value_heads": 2, "max_position_embeddings": 2048},
            "vision": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
                       "image_size": 28, "patch_size": 7, "projection_dim": 16},
            "window_tokens": 16, "ratios": [2, 4, 8, 16], "default_ratio": 4},
        "ratios": [4], "most_frames": 48, "most_questions": 4, "rows": 2, "rows_per_step": 2, "lr": 1e-3, "steps": 1,
        "workers": 0}))
    assert train(["--shards", str(data / FOLDER), "--out", str(tmp_path / "run"), "--config", str(config)]) == 0
    assert run(["--model", str(tmp_path / "run" / "checkpoints" / "step-00000001"), "--task", "use-cases", "--data",
                str(data), "--out", str(tmp_path / "out"), "--ratio", "4", "--limit", "2", "--device", "cpu"]) == 0
    capsys.readouterr()
    rows = pq.read_table(tmp_path / "out" / "use-cases" / "answers.parquet").to_pylist()
    assert len(rows) == 20
    placed = [row for row in rows if dict(row["attributes"])["measure"] == "span IoU"]
    assert len(placed) == 6
    for row in placed:
        spans = spans_read(row["read"] or "")
        assert all(0 <= begin < end <= 48 for begin, end in spans)
        kind = dict(row["attributes"])["kind"]
        assert spans if kind != "list_chapters" else len(spans) == sum(
            bool(line.strip()) for line in row["said"].splitlines())


def test_the_answerer_gives_the_spans_that_ask_video_gives(model, processor):
    from model.where import where

    model.processor = processor
    frames = [(float(second), frame) for second, frame in enumerate(pixels(20))]
    seen = VstAnswerer(model, [4]).look(iter(frames), None)
    question = Question("q", None, "What?", "open", "", most_tokens=5, placing="above")
    reply = seen.reply(question)
    memory = model.compress(iter(frames), ratio=4).close()
    found = where(model, memory, processor.question_ids("What?"), reply.text)
    assert reply.spans == tuple((span.start_s, span.end_s) for span in found.spans)
    assert reply.spans
    assert seen.reply(dataclasses.replace(question, placing=None)).spans == ()


def test_a_mute_model_earns_nothing_for_chapters(data, model, processor, monkeypatch):
    """It ends its answer at once, so that it names no chapter, wherever it looks."""
    monkeypatch.setattr(model, "processor", processor)
    end = processor.tokenizer.eos_token_id
    monkeypatch.setattr(model, "generate", lambda input_ids, **_: torch.cat((input_ids, torch.tensor([[end]])), 1))
    seen = VstAnswerer(model, [4]).look(enumerate(pixels(48)), None)
    asked = next(one for one in task.questions(data) if one.placing == "lines")
    reply = seen.reply(asked)
    assert (reply.text, reply.spans) == ("", ())
    assert task.score(asked, reply) == Score(None, 0.0)
    assert seen.reply(dataclasses.replace(asked, placing="above")).spans
