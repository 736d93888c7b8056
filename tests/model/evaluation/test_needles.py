"""Needles in a haystack: where they lie, how answers count, what is left after a stop, the maps."""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_models import TOKENS_PER_FRAME

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.methods.method import Method
from model.evaluation.methods.watch import encoded, watch
from model.evaluation.needles.ask import main
from model.evaluation.needles.hay import Hay, ShortHayError, needle_tokens, read_hay
from model.evaluation.needles.miniature import write_miniature
from model.evaluation.needles.needle import drawn_needles, read_needles
from model.evaluation.needles.needle_grid import NO_ROOM, TASK, ask_grid, cells_of
from model.evaluation.needles.needle_maps import draw_png, needle_maps, write_page
from model.evaluation.task import AnswerRow, BadDataError, MissingDataError
from model.evaluation.viewing import VideoStretch
from model.evaluation.vst_answerer import prompt_ids
from pipeline import decode
from pipeline.sample_videos import COLOURS
from tests.numbered_videos import write_numbered

FILM = Path("film.mp4")
VIEWING = VideoStretch(FILM)


@pytest.fixture(scope="module")
def asked_model(model, processor):
    """A model with its processor."""
    model.processor = processor
    yield model
    model.processor = None


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hay") / "film.mp4"
    write_numbered(path, "constant", 25 * 24, 160, 90)
    return path


def hay_of(frames: int) -> Hay:
    return Hay([(float(second), torch.full((TOKENS_PER_FRAME, 32), 0.01 * second)) for second in range(frames)])


@settings(deadline=None)
@given(length=st.integers(1, 60), depth=st.floats(0, 1), more=st.integers(0, 5))
def test_a_needle_lies_at_its_depth_and_nothing_else_changes(length, depth, more):
    hay, needle_VC = hay_of(length + more), torch.full((TOKENS_PER_FRAME, 32), -1.0)
    shown = list(hay.around(needle_VC, length, depth))
    assert len(shown) == length + 1
    places = [place for place, (time_s, _) in enumerate(shown) if time_s is None]
    assert places == [int(depth * length)]
    assert torch.equal(shown.pop(places[0])[1], needle_VC)
    assert [time_s for time_s, _ in shown] == [float(second) for second in range(length)]


def test_hay_is_one_frame_a_second_through_the_tower(asked_model, video):
    hay = read_hay(asked_model, video, 20)
    assert [time_s for time_s, _ in hay.frames] == [float(second) for second in range(20)]
    differ = {tuple(tokens_VC.flatten().tolist()) for _, tokens_VC in hay.frames}
    assert len(differ) == 20
    with pytest.raises(ShortHayError, match="lasts 24 seconds"):
        read_hay(asked_model, video, 25)


def test_the_drawn_needles():
    needles, again = drawn_needles(), drawn_needles()
    assert [needle.letter_question("", VIEWING).answer for needle in needles] == list("DCCBA")
    assert all(np.array_equal(one.picture, other.picture) for one, other in zip(needles, again, strict=True))
    assert {needle.picture.shape for needle in needles} == {(336, 336, 3)}
    assert all(len(set(needle.options)) == 4 for needle in needles)
    question = needles[0].letter_question("", VIEWING)
    assert question.prompt.startswith("Question: A clock")
    assert "\n(D) four o'clock\n" in question.prompt
    assert question.prefill == "Best option:("
    forced = needles[0].forced_question("", VIEWING)
    assert (forced.answer, forced.teacher_forced) == ("four o'clock", True)
    assert "seven" not in forced.prompt


def test_ones_own_needles(tmp_path):
    Image.fromarray(drawn_needles()[2].picture).save(tmp_path / "dots.png")
    row = {"image": "dots.png", "question": "How many?", "options": ["two", "five"], "answer": "five"}
    with pytest.raises(MissingDataError, match=r"needles\.json"):
        read_needles(tmp_path)
    (tmp_path / "needles.json").write_text(json.dumps([row]))
    [needle] = read_needles(tmp_path)
    assert (needle.name, needle.options) == ("dots", ("two", "five"))
    assert np.array_equal(needle.picture, drawn_needles()[2].picture)
    for rows, words in (([row | {"answer": "six"}], "none of its options"), ([row, row], "no two images"),
                        ([], "at least one"), ([{"image": "dots.png"}], "question"),
                        ([row | {"image": "no.png"}], "cannot be decoded"), ("{", "needles.json")):
        (tmp_path / "needles.json").write_text(json.dumps(rows) if rows != "{" else rows)
        with pytest.raises(BadDataError, match=words):
            read_needles(tmp_path)


# ---- The grid


def asked(model, folder: Path, methods: list[str], lengths: list[int], needles=None, hay=None, tell=None) -> dict:
    needles = needles or drawn_needles()[:2]
    cells = cells_of([Method.parse(text) for text in methods], lengths, [0.0, 0.5], len(needles))
    files = AnswerFiles(folder)
    with files.writing({}):
        ask_grid(model, hay or hay_of(12), FILM, needles, cells, files, tell or (lambda answered: None))
    return files.read()


def test_every_cell_is_asked_in_both_ways_and_counted_as_published(asked_model, tmp_path):
    rows = asked(asked_model, tmp_path, ["vst:4", "two-tokens:2"], [6, 12])
    assert len(rows) == 2 * 2 * 2 * 2 * 2
    for row in rows.values():
        assert row.frames == int(row.attributes["length"]) + 1
        if row.attributes["scoring"] == "letter":
            assert row.score == float(row.answer in row.said.split(")")[0])
        prefix = len(asked_model.processor.prefix_ids())
        factor = 4 if row.method == "vst:4" else 2
        [needle] = [one for one in drawn_needles() if one.name == row.attributes["needle"]]
        question = needle.asked(row.attributes["scoring"], "", VIEWING)
        behind = len(prompt_ids(asked_model.processor, None, question.prompt, question.prefill)[1])
        given = len(asked_model.processor.ids(question.answer))
        said = range(given, given + 1) if question.teacher_forced else range(1, question.most_tokens + 1)
        assert row.positions - (prefix + row.frames * TOKENS_PER_FRAME // factor) - behind in said


@pytest.mark.parametrize("method", ["vst:4", "pool-time:2", "two-tokens:2"])
def test_an_answer_is_found_just_if_the_model_gives_it(asked_model, tmp_path, method):
    """What greedy decoding says, step by step and without the harness, is found; something else is not."""
    needle, hay = drawn_needles()[0], hay_of(12)
    processor = asked_model.processor
    question = needle.forced_question("", VIEWING)
    words, answer = processor.ids(question.prompt), []
    way = Method.parse(method)
    memory = watch(asked_model, way, hay.around(needle_tokens(asked_model, needle), 12, 0.5), None, words)
    ids = prompt_ids(processor, None, question.prompt, "")[1]
    with torch.no_grad():
        for _ in range(4):
            logits = asked_model(torch.tensor([ids + answer]), past_key_values=memory.cache()).logits
            answer.append(int(logits[0, -1, :256].argmax()))
            if int(logits[0, -1].argmax()) != answer[-1]:
                break
    said = processor.tokenizer.decode(answer)
    assert processor.ids(said) == answer, "what this model says is text"
    right = replace(needle, options=(said, *needle.options[:3]), answer=said)
    wrong = replace(needle, name="other", options=(f"{said}no", *needle.options[:3]), answer=f"{said}no")
    rows = asked(asked_model, tmp_path, [method], [12], [right, wrong], hay)
    found = {(row.attributes["needle"], row.attributes["depth"]): row.score for row in rows.values()
             if row.attributes["scoring"] == "forced"}
    assert found["clock", "0.5"] == 1
    assert found["other", "0.5"] == 0


def test_a_stopped_grid_goes_on_where_it_was(asked_model, tmp_path):
    whole = asked(asked_model, tmp_path / "whole", ["vst:4", "drop-frames:4"], [6])
    told: list[int] = []

    def stop(answered: int) -> None:
        told.append(answered)
        if len(told) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(asked_model, tmp_path / "cut", ["vst:4", "drop-frames:4"], [6], tell=stop)
    with (tmp_path / "cut" / "answers" / "rank-000.jsonl").open("a") as file:
        file.write('{"half a li')
    rest: list[int] = []
    assert asked(asked_model, tmp_path / "cut", ["vst:4", "drop-frames:4"], [6], tell=rest.append) == whole
    assert sum(told) + sum(rest) == len(whole)


class SmallHay(Hay):
    """More than seven frames of it are more than the device holds."""

    tried: list[int] = []  # noqa: RUF012

    def around(self, needle_VC, length, depth):
        self.tried.append(length)
        if length > 7:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().around(needle_VC, length, depth)


def test_where_there_is_no_room_the_grid_goes_on_with_other_ways(asked_model, tmp_path):
    hay = SmallHay(hay_of(12).frames)
    rows = asked(asked_model, tmp_path, ["all", "vst:4"], [6, 8, 10, 12], hay=hay)
    assert hay.tried.count(8) == 2  # once a way
    assert not {10, 12} & set(hay.tried)
    assert {(row.method, row.attributes["length"]) for row in rows.values() if row.problem is None} == {
        ("all", "6"), ("vst:4", "6")}
    assert {row.problem for row in rows.values()} == {None, NO_ROOM}
    hay.tried.clear()
    assert asked(asked_model, tmp_path, ["all", "vst:4"], [6, 8, 10, 12, 13], hay=hay).keys() > rows.keys()
    assert hay.tried == []
    maps = needle_maps(rows.values())
    assert [cell.mean for place, cell in maps[0].cells.items() if place[0] > 6] == [None] * 6


# ---- Maps


def rows_of(found: dict[tuple[str, int, float, str], float | None]) -> list[AnswerRow]:
    """One answer each: (method, length, depth, needle) to score."""
    return [
        AnswerRow("needles", f"{key}", "film.mp4", "", [], "A", "letter",
                  {"length": str(key[1]), "depth": f"{key[2]:g}", "needle": key[3], "scoring": "letter"}, "", None,
                  score or 0.0, key[1] + 1, 9, "16", key[0], "", None if score is not None else NO_ROOM)
        for key, score in found.items()]


def test_a_map_is_the_mean_of_its_needles(tmp_path):
    found = {("vst:16", 100, 0.0, "a"): 1.0, ("vst:16", 100, 0.0, "b"): 0.0, ("vst:16", 100, 1.0, "a"): 1.0,
             ("vst:16", 100, 1.0, "b"): 1.0, ("vst:16", 1000, 0.0, "a"): None, ("all", 100, 0.0, "<b>"): 0.0}
    maps = needle_maps(rows_of(found))
    assert [(one.method, one.lengths, one.depths) for one in maps] == [
        ("vst:16", (100, 1000), (0.0, 1.0)), ("all", (100,), (0.0,))]
    assert [maps[0].cells[place].mean for place in ((100, 0.0), (100, 1.0), (1000, 0.0))] == [0.5, 1.0, None]
    assert maps[0].cells[100, 0.0].missed == ("b",)
    assert (maps[0].mean, maps[1].mean) == (0.75, 0.0)
    draw_png(maps, tmp_path / "maps.png")
    first = (tmp_path / "maps.png").read_bytes()
    draw_png(maps, tmp_path / "maps.png")
    assert (tmp_path / "maps.png").read_bytes() == first
    assert Image.open(tmp_path / "maps.png").size[0] > 400
    write_page(maps, tmp_path / "maps.html", {"hay": "a<b>.mp4"})
    page = (tmp_path / "maps.html").read_text()
    assert page.count("<table>") == 2
    assert '<td style="background: hsl(60 65% 68%)" title="missed: b">50</td>' in page
    assert "no room</td>" in page
    assert "a&lt;b&gt;.mp4" in page
    assert "missed: &lt;b&gt;" in page
    assert not [word for word in ("http", "<script", "src=", "url(") if word in page]


# ---- The command


def test_the_command_asks_once_and_draws_maps(model_folder, video, tmp_path, capsys):
    arguments = ["--model", str(model_folder), "--hay", str(video), "--out", str(tmp_path), "--device", "cpu",
                 "--depths", "0.5", "--method", "vst:16", "pool-space:4:ntk"]
    assert main([*arguments, "--lengths", "5"]) == 0
    assert "vst:16" in capsys.readouterr().out
    first = pq.read_table(tmp_path / TASK / "answers.parquet").to_pylist()
    assert len(first) == 2 * 1 * 1 * 5 * 2
    assert main([*arguments, "--lengths", "5", "20"]) == 0
    rows = pq.read_table(tmp_path / TASK / "answers.parquet").to_pylist()
    assert len(rows) == 2 * len(first)
    assert all(row in rows for row in first)
    results = json.loads((tmp_path / TASK / "results.json").read_text())
    assert [(one["method"], one["scoring"], len(one["cells"])) for one in results["maps"]] == [
        (method, scoring, 2) for method in ("vst:16", "pool-space:4:ntk") for scoring in ("letter", "forced")]
    assert (tmp_path / TASK / "maps.png").is_file()
    assert "traffic light" in (tmp_path / TASK / "maps.html").read_text()


def test_two_processes_share_a_grid(model_folder, video, tmp_path, capsys):
    arguments = ["--model", str(model_folder), "--hay", str(video), "--device", "cpu", "--lengths", "4",
                 "--depths", "0.5"]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    for rank in (1, 0):
        assert main([*arguments, "--out", str(tmp_path / "two"), "--rank", str(rank), "--world", "2"]) == 0
    assert "other ranks" in capsys.readouterr().out
    one, two = (json.loads((tmp_path / name / TASK / "results.json").read_text()) for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lengths", "30"], "lasts 24 seconds"),
        (["--lengths", "0"], "greater than or equal to 1"),
        (["--depths", "1.5"], "less than or equal to 1"),
        (["--method", "magic:8"], "no way to look is called 'magic'"),
        (["--method", "vst:5"], "5 is not one of"),
        (["--method", "pool-space:3"], "no equal parts of 3"),
        (["--needles", "nowhere"], "needles.json"),
        (["--hay", "none.mp4"], "no video at none.mp4"),
        (["--model", "nowhere"], "no model at nowhere"),
        (["--rank", "1"], "must be less than"),
    ],
)
def test_wrong_calls(model_folder, video, tmp_path, capsys, arguments, words):
    usual = ["--model", str(model_folder), "--hay", str(video), "--out", str(tmp_path), "--device", "cpu",
             "--lengths", "4"]
    if arguments[0] == "--lengths":
        usual = usual[:-2]
    assert main([*usual, *arguments]) == 2
    assert words in capsys.readouterr().err


def test_another_model_does_not_go_on_in_the_same_folder(model_folder, fresh_model, processor, video, tmp_path, capsys):
    usual = ["--hay", str(video), "--out", str(tmp_path / "out"), "--device", "cpu", "--lengths", "3", "--depths", "0"]
    assert main(["--model", str(model_folder), *usual]) == 0
    with torch.no_grad():
        fresh_model.lm_head.weight += 1
    fresh_model.save_pretrained(tmp_path / "other")
    processor.save_pretrained(tmp_path / "other")
    assert main(["--model", str(tmp_path / "other"), *usual]) == 2
    assert "Choose another --out" in capsys.readouterr().err


def test_a_needle_is_its_picture_and_what_is_asked():
    needles = drawn_needles()
    assert [needle.digest for needle in needles] == [needle.digest for needle in drawn_needles()]
    clock = needles[0]
    touched = clock.picture.copy()
    touched[0, 0, 0] ^= 1
    others = [replace(clock, **change) for change in (
        {"picture": touched}, {"picture": clock.picture.reshape(168, 672, 3)}, {"question": "What time is it?"},
        {"options": clock.options[::-1]}, {"answer": clock.options[0]})]
    assert len({needle.digest for needle in (*needles, *others)}) == 10
    assert replace(clock, name="other").digest == clock.digest  # the name stands beside it


def test_a_needle_that_was_changed_does_not_go_on_in_the_same_folder(model_folder, video, tmp_path, capsys):
    own = tmp_path / "needles"
    own.mkdir()
    Image.fromarray(drawn_needles()[2].picture).save(own / "dots.png")
    row = {"image": "dots.png", "question": "How many?", "answer": "five"}
    arguments = ["--model", str(model_folder), "--hay", str(video), "--out", str(tmp_path / "out"), "--device", "cpu",
                 "--lengths", "3", "--depths", "0", "--needles"]
    (own / "needles.json").write_text(json.dumps([row]))
    assert main([*arguments, str(own)]) == 0
    assert main([*arguments, str(own.rename(tmp_path / "moved"))]) == 0
    (tmp_path / "moved" / "needles.json").write_text(json.dumps([row | {"answer": "six"}]))
    assert main([*arguments, str(tmp_path / "moved")]) == 2
    said = capsys.readouterr().err
    assert "needles was {'dots': " in said
    assert "Choose another --out" in said


def test_a_needle_is_encoded_like_a_frame(asked_model):
    needle = drawn_needles()[0]
    [(_, expected)] = encoded(asked_model, [Image.fromarray(needle.picture)])
    assert torch.equal(needle_tokens(asked_model, needle), expected)


def test_miniature_hay_and_needles(model_folder, tmp_path):
    """The stills show the colours of their answers, the hay shows none of the shapes; asked in one way, for want of
    options.
    """
    write_miniature(tmp_path, 16, seed=7, count=7)
    needles = read_needles(tmp_path / "needles")
    assert len({needle.question for needle in needles}) == len(needles) == 7
    facts = decode.read_facts(str(tmp_path / "hay.mp4"))
    times_s = list(map(float, range(16)))
    hay = [picture for _, picture in decode.pick_frames(str(tmp_path / "hay.mp4"), facts, times_s)]
    assert facts.duration_s == 16
    for needle in needles:
        assert (needle.options, needle.scorings) == ((), ("forced",))
        assert needle.forced_question("", VIEWING).prompt == needle.question
        rgb = COLOURS[needle.answer.lower().strip(".")]
        assert _share_of(needle.picture, rgb) > 0.02
        assert max(_share_of(picture, rgb) for picture in hay) < 0.01
    arguments = ["--model", str(model_folder), "--hay", str(tmp_path / "hay.mp4"),
                 "--needles", str(tmp_path / "needles"), "--out", str(tmp_path / "out"),
                 "--device", "cpu", "--lengths", "9", "--depths", "0.5"]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "out" / TASK / "results.json").read_text())
    assert [(one["scoring"], len(one["cells"])) for one in results["maps"]] == [("forced", 1)]


def _share_of(picture: np.ndarray, rgb: tuple[int, int, int]) -> float:
    return float((np.linalg.norm(picture.astype(int) - np.array(rgb), axis=2) < 20).mean())
