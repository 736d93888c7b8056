"""Frames that fit: counts by looking, held against what each way keeps; the search; the plot."""

import json
import runpy
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import TOKENS_PER_FRAME, WINDOW

from model.evaluation.methods.frames_plot import main, points_of
from model.evaluation.methods.frames_that_fit import (
    FrameCost,
    _fill_and_ask,
    frame_cost,
    frames_in,
    largest,
    row_numbers,
    tried,
)
from model.evaluation.methods.limited_memory import TryError, runs_within
from model.evaluation.methods.method import NAMES, Method
from model.evaluation.methods.method_answerer import MethodAnswerer
from model.evaluation.methods.watch import Looked
from model.evaluation.question import Question
from model.evaluation.viewing import VideoStretch

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "frames_that_fit.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_costs_what_its_way_keeps(model, name):
    method = Method(name, 1 if name == "all" else 2)
    cost = frame_cost(model, method, 48)
    assert cost.rows * 48 == method.tokens_kept(48, TOKENS_PER_FRAME, WINDOW)
    assert row_numbers(model.config) == 2 * 3 * 2 * 8
    kept = 4 * cost.rows * row_numbers(model.config)
    held = 4 * cost.held * TOKENS_PER_FRAME * 32
    assert cost.bytes_of(model.config, element_bytes=4) == pytest.approx(kept + held)


@pytest.mark.parametrize(("name", "frames", "held"), [
    ("vst", 720, 0), ("merge-frames", 800, 0), ("merge-places", 30, 1), ("two-tokens", 30, 1)])
def test_a_bank_and_a_way_that_asks_first_hold_the_whole_video(model, name, frames, held):
    """What the others hold does not grow with the video."""
    assert frame_cost(model, Method(name, 2), frames).held == held


@pytest.mark.parametrize(("name", "held"), [("vst", 0), ("two-tokens", 30)])
def test_the_harness_holds_what_is_counted(model, processor, monkeypatch, name, held):
    """Between two questions: nothing of the 30 frames, or the visual tokens of all."""
    monkeypatch.setattr(model, "processor", processor)
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()

    def film() -> Iterator[Looked]:
        for second in range(30):
            tokens = torch.full((TOKENS_PER_FRAME, 32), 0.1 * second)
            alive.add(tokens)
            yield float(second), tokens

    seen = MethodAnswerer(model, Method(name, 2)).look_at(film())
    seen.reply(Question("q", VideoStretch(Path("v.mp4")), "What?", "letter", "A", most_tokens=1))
    assert len(alive) == held


def test_the_count_is_what_fits_and_one_more_does_not(model):
    cost = FrameCost(Method("vst", 4), rows=1, held=0)
    frame = cost.bytes_of(model.config)
    assert frames_in(1000 + 7 * frame, 1000, cost, model.config) == 7
    assert frames_in(999 + 7 * frame, 1000, cost, model.config) == 6
    assert frames_in(10, 1000, cost, model.config) == 0


@given(st.integers(0, 10**7), st.integers(1, 10**7))
def test_the_search_comes_within_one_in_a_hundred(limit, likely):
    asked = []
    found = largest(lambda frames: asked.append(frames) or frames <= limit, likely)
    assert found <= limit
    assert limit - found <= max(1, found // 100)
    assert len(asked) <= 40


@pytest.mark.parametrize("name", ["vst", "merge-places"])
def test_a_filled_memory_holds_what_was_counted_and_answers(model, name):
    method = Method(name, 1 if name == "all" else 4)
    cost = FrameCost(method, frame_cost(model, method, 48).rows, 1.0 if name == "merge-places" else 0.0)
    few, many = (_fill_and_ask(model, cost, frames) for frames in (100, 300))
    assert many - few == pytest.approx(200 * cost.bytes_of(model.config, element_bytes=4))
    assert name != "vst" or tried(model, cost, 100, 10**9)


def test_only_a_full_memory_does_not_fit(capfd):
    assert runs_within(300_000_000, lambda: bytearray(250_000_000))
    assert not runs_within(300_000_000, lambda: bytearray(400_000_000))
    assert runs_within(300_000_000, lambda: torch.empty(250_000_000, dtype=torch.int8))
    assert not runs_within(300_000_000, lambda: torch.empty(400_000_000, dtype=torch.int8))
    with pytest.raises(TryError, match="exit code 1"):
        runs_within(300_000_000, lambda: torch.empty(2) @ torch.empty(3))
    assert "RuntimeError" in capfd.readouterr().err


def test_on_a_cpu_about_as_many_frames_fit_as_are_counted(model_folder, tmp_path):
    """Less the workspace of a pass and the room left of the last block of rows."""
    out = tmp_path / "frames.json"
    options = ["--model", model_folder, "--memory-gb", "0.024", "--method", "all", "vst:16", "--json", out]
    subprocess.run([sys.executable, BENCHMARK, *options], check=True)
    every, compressed = json.loads(out.read_text())["ways"]
    assert (every["counted"], compressed["counted"]) == (15_625, 250_000)
    for way in (every, compressed):
        assert 0.6 * way["counted"] < way["tried"] < way["counted"]
    assert compressed["tried"] > 12 * every["tried"]


def test_a_way_that_does_not_fit_the_model_is_refused_by_name(model_folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARK.parent)
    arguments = ["--model", str(model_folder), "--method", "all", "two-tokens:72"]
    monkeypatch.setattr(sys, "argv", ["frames_that_fit", *arguments])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(BENCHMARK), run_name="__main__")
    assert "two-tokens:72: of 4 tokens a frame, factor 72 leaves no two or more" in capsys.readouterr().err


def settings(ratio: str, positions: str = "published") -> dict[str, str]:
    return {"method": "vst", "ratio": ratio, "positions": positions}


def test_points_are_ways_with_frames_and_an_accuracy(tmp_path, capsys):
    fit = {"memory_gb": 80, "ways": [{"method": name, "frames": count} for name, count in
                                     (("vst:8", 50_000), ("all", 7_000), ("pool-space:16:yarn", 110_000))]}
    figure = {"name": "overall", "mean": 0.6, "low": 0.5, "high": 0.7}
    results = [
        {"settings": settings("8"), "figures": [figure]},
        {"settings": settings("1"), "figures": [figure | {"mean": 0.2, "low": None, "high": None}]},
        {"settings": settings("8", "yarn"), "figures": [figure]},
        {"settings": {}, "maps": [{"method": "pool-space:16:yarn", "scoring": "letter", "mean": 0.9},
                                  {"method": "pool-space:16:yarn", "scoring": "forced", "mean": 0.1}]},
        {"settings": {}, "maps": [{"method": "vst:8", "scoring": "forced", "mean": 0.3},
                                  {"method": "all", "scoring": "letter", "mean": None},
                                  {"method": "all", "scoring": "forced", "mean": 0.8}]}]
    points = points_of({one["method"]: one["frames"] for one in fit["ways"]}, results)
    assert [(one.name, one.frames, one.accuracy, one.low, one.high) for one in points] == [
        ("vst:8", 50_000, 0.6, 0.5, 0.7), ("all", 7_000, 0.2, 0.2, 0.2), ("pool-space:16:yarn", 110_000, 0.9, 0.9, 0.9),
        ("vst:8", 50_000, 0.3, 0.3, 0.3)]
    (tmp_path / "fit.json").write_text(json.dumps(fit))
    for number, one in enumerate(results):
        (tmp_path / f"{number}.json").write_text(json.dumps(one))
    files = [str(tmp_path / f"{number}.json") for number in range(5)]
    arguments = ["--fit", str(tmp_path / "fit.json"), "--out", str(tmp_path / "plot.svg"), "--results"]
    assert main([*arguments, *files]) == 0
    plot = (tmp_path / "plot.svg").read_text()
    assert all(name in plot for name in ("vst:8", "all", "pool-space:16:yarn", "frames that fit", "80 GB"))
    assert "vst:8:yarn" not in plot, "how many frames fit so is not known"
    assert main([*arguments, files[4]]) == 0
    assert main([*arguments, files[2]]) == 2
    assert "no way to look" in capsys.readouterr().err
    (tmp_path / "judged.json").write_text(json.dumps(
        {"task": "mlvu-dev-generation", "settings": settings("8"), "figures": []}))
    assert main([*arguments, files[0], str(tmp_path / "judged.json")]) == 2
    assert "the results of mlvu-dev-generation hold no figure" in capsys.readouterr().err
    assert main(["--fit", str(tmp_path / "none.json"), *arguments[2:], files[0]]) == 2
