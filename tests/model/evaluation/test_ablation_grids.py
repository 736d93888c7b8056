"""Grid files: what they may say, what they take over, what is wrong with them, and what `--plan` says of them."""

import json
from pathlib import Path

import pytest
import yaml

from model.evaluation.ablation.ablate_command import run
from model.evaluation.ablation.grid import Cell, Cells
from model.evaluation.ablation.read_grid import GridError, bundled_grids, read_grid
from tests.model.evaluation.official_sets import OfficialSets

SOURCES = [{"name": "vico", "datasets": ["vico"]}]
SMALL = {
    "choices": {"init": "base", "steps": 5},
    "runs": {"given": {"init": "there"}, "one": {"sources": SOURCES, "after": "given"}},
    "tasks": {"mlvu": {"benchmark": "mlvu-dev"}},
    "cells": [{"run": "one", "task": "mlvu", "ratio": 8}]}


def written(folder: Path, said: dict, name: str = "grid.yaml") -> str:
    """A grid file."""
    path = folder / name
    path.write_text(yaml.safe_dump(said), encoding="utf-8")
    return str(path)


def changed(**changes: object) -> dict:
    """The small grid with other words."""
    return {**SMALL, **changes}


FILM = {"films": "test", "kinds": ["order_events"], "span_seconds": 16, "questions": 9}
WRONG = {
    "unknown key": (changed(rnus={}), "rnus: Extra inputs"),
    "no such run": (changed(cells=[{"run": "two", "task": "mlvu", "ratio": 8}]), "no run is called 'two'"),
    "no such task": (changed(cells=[{"run": "one", "task": "mlv", "ratio": 8}]), "no task is called 'mlv'"),
    "no such films": (changed(tasks={"mlvu": FILM}), "no set of films is called 'test'"),
    "no such benchmark": (changed(tasks={"mlvu": {"benchmark": "mlvu"}}), "has no task 'mlvu': there are mlvu-dev"),
    "no such method": (changed(cells=[{"run": "one", "task": "mlvu", "ratio": 8, "method": "squint"}]), "'squint'"),
    "no ratio": (changed(cells=[{"run": "one", "task": "mlvu", "ratio": 0}]), "greater than or equal to 1"),
    "no cells": (changed(cells=[]), "cells: List should have at least 1"),
    "no such choice": (changed(choices={"stepz": 5}), "run one: stepz: Extra inputs"),
    "impossible choice": (changed(choices={"lr": -1}), "run one: lr: Input should be greater than 0"),
    "nothing to train on": (changed(runs={"one": {}}), "neither sources to train on nor init"),
    "trained and given": (changed(runs={"one": {"init": "a", "sources": SOURCES}}), "leave after, choices, sources"),
    "after itself": (changed(runs={"one": {"sources": SOURCES, "after": "one"}}), "the runs one wait for each other"),
    "like none": (changed(runs={"one": {"like": "two"}}), "run one is like 'two'"),
    "chance of a benchmark": (
        changed(claims=[{"says": "so", "kind": "chance", "cell": SMALL["cells"][0]}]), "not 'mlvu'"),
    "a claim without other": (
        changed(claims=[{"says": "so", "kind": "above", "cell": SMALL["cells"][0]}]), "needs other"),
    "a way that films have not": (
        changed(films={"test": {"first_seed": 0, "count": 1, "seconds": 16}}, span_seconds=16, tasks={"mlvu": FILM},
                cells=[{"run": "one", "task": "mlvu", "ratio": 2, "method": "pool-space"}]),
        "pool-space:2 is not to be had for 'mlvu'"),
    "base that is not there": (changed(base={"grid": "lern"}), "the package brings: learn"),
    "run that the base has not": (changed(base={"grid": "learn", "runs": ["seek"]}), "no run 'seek': there are look"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_grid_that_cannot_be_used_says_why(what: str, tmp_path: Path) -> None:
    said, message = WRONG[what]
    with pytest.raises(GridError) as error:
        read_grid(written(tmp_path, said))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["runs: [", "- a", "runs: 3"])
def test_a_file_that_is_no_grid_says_so(text: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "grid.yaml").write_text(text)
    assert run([str(tmp_path / "grid.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert "grid" in capsys.readouterr().err


def test_a_grid_that_is_based_on_itself_is_refused(tmp_path: Path) -> None:
    name = written(tmp_path, SMALL)
    written(tmp_path, {**SMALL, "base": {"grid": name}})
    with pytest.raises(GridError, match="based on itself"):
        read_grid(name)


def test_cells_are_every_combination_and_ratio_one_is_one_way() -> None:
    many = Cells(run=["a", "b"], task="t", ratio=[1, 8], method=["vst", "pool-time"])
    assert {(cell.run, str(cell.way)) for cell in many.cells()} == {
        (run, way) for run in "ab" for way in ("all", "vst:8", "pool-time:8")}
    assert Cell(run="a", task="t", ratio=1) == Cell(run="a", task="t", ratio=1, method="drop-frames")


def test_what_a_grid_says_stands_over_its_base(tmp_path: Path) -> None:
    base = written(tmp_path, changed(
        claims=[{"says": "so", "kind": "at_least", "cell": SMALL["cells"][0], "margin": 0.5}],
        choices={"init": "base", "steps": 5, "lr": 1e-3}), "base.yaml")
    grid = read_grid(written(tmp_path, {
        "base": {"grid": base}, "choices": {"steps": 7, "lr": None},
        "runs": {"two": {"like": "one", "choices": {"ratios": [1]}}},
        "cells": [{"run": ["one", "two"], "task": "mlvu", "ratio": 2}]}, "above.yaml"))
    assert grid.choices == {"init": "base", "steps": 7}
    assert list(grid.runs) == ["given", "one", "two"]
    assert grid.runs["two"] == grid.runs["one"].model_copy(update={"choices": {"ratios": [1]}})
    assert grid.ratios_of("two") == [1]
    assert grid.ratios_of("given") == []
    assert [(cell.run, cell.ratio) for cell in grid.all_cells()] == [("one", 2), ("two", 2)], "and no claims"
    kept = read_grid(written(tmp_path, {**SMALL, "base": {"grid": base, "runs": []}}, "none.yaml"))
    assert list(kept.runs) == ["given", "one"]


@pytest.mark.parametrize("name", bundled_grids())
def test_grids_that_come_with_the_package_can_be_read_and_planned_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    grid = read_grid(name)
    needs_data = not grid.films
    assert run([name, "--plan", "--out", "out"]) == (2 if needs_data else 0)
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("cell ")] == [
        f"cell {cell.run} {cell.task} {cell.way}: 0 of {len(grid.seeds_of(cell.run))}" for cell in grid.all_cells()]
    assert all(f"run {name}: " in said for name in grid.runs)
    assert ("missing: " in said) == needs_data
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    sets = OfficialSets(tmp_path / "data")
    words = [written(tmp_path, SMALL), "--out", str(tmp_path / "out"), "--data", str(sets.data)]
    assert run(words) == 2
    said = capsys.readouterr().err
    assert "run given: no model in there (no config.json); give --init given=DIR" in said
    assert "shards: none are named for the runs one" in said
    assert "mlvu-dev: no file" in said
    assert not (tmp_path / "out").exists()

    sets.mlvu_dev()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "vico").mkdir()
    more = ["--init", f"given={tmp_path / 'model'}", "--shards", str(tmp_path / "vico"), "--plan"]
    assert run([*words, *more]) == 2
    said = capsys.readouterr().out
    assert said.count("missing: ") == 1
    assert f"missing: shards {tmp_path / 'vico'}: no finished data set there" in said
    (tmp_path / "vico" / "manifest.json").write_text(json.dumps({}))
    assert run([*words, *more]) == 0
    assert "missing: " not in capsys.readouterr().out


@pytest.mark.parametrize(("words", "message"), [
    (["--init", "one=DIR"], "--init one=...: the grid has no run of that name that is a model which is there"),
    (["--init", "given"], "'given' is not RUN=DIR"), (["--launch", "a 'b"], "No closing quotation"),
    (["--jobs", "0"], "jobs: Input should be greater than or equal to 1")])
def test_a_wrong_call_says_what_is_wrong(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run([written(tmp_path, SMALL), "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
