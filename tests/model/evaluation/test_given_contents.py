"""Models and benchmarks that a grid is given: other ones are not mixed up with what was made, moved ones go on."""

import json
import shutil
from pathlib import Path

import pytest

from model.evaluation.ablation.contents import model_digest
from model.evaluation.ablation.grid import Cell, Grid
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.made_of import GridChangedError
from model.evaluation.ablation.measure_cells import measure_cells
from model.evaluation.ablation.train_run import train_run
from tests.model.evaluation.official_sets import OfficialSets

GRID = Grid.model_validate({
    "films": {"test": {"first_seed": 0, "count": 1, "seconds": 16}}, "span_seconds": 16,
    "choices": {"init": "base", "steps": 5},
    "runs": {"given": {"init": "there"}, "one": {"sources": [{"name": "vico"}], "after": "given"}},
    "tasks": {"mlvu": {"benchmark": "mlvu-dev"},
              "order": {"films": "test", "kinds": ["order_events"], "span_seconds": 16, "questions": 9}},
    "cells": [{"run": ["given", "one"], "task": ["mlvu", "order"], "ratio": 8}]})


class Commands:
    """Writes what the commands would have, without content, and remembers which were called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def run(self, log: Path, command: str, *arguments: str | Path, launched: bool = False) -> None:
        self.called.append(command)
        if command == "measure-films":
            for cell in json.loads(arguments[0].read_text())["cells"]:
                Path(cell["file"]).touch()
        else:
            results = arguments[arguments.index("--out") + 1] / "mlvu-dev" / "results.json"
            results.parent.mkdir(parents=True)
            results.touch()


def write_model(folder: Path, weights: bytes) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def write_data(folder: Path, question: str) -> Path:
    """MLVU with one question in other words."""
    sets = OfficialSets(folder)
    sets.mlvu_dev()
    file = folder / "MLVU" / "json" / "3_ego.json"
    file.write_text(file.read_text().replace("What about ego?", question))
    return folder


def test_a_model_is_what_its_files_hold(tmp_path: Path) -> None:
    first = model_digest(write_model(tmp_path / "a", b"weights 1"))
    assert model_digest(write_model(tmp_path / "b", b"weights 1")) == first
    assert model_digest(write_model(tmp_path / "c", b"weights 2")) != first
    (write_model(tmp_path / "d", b"weights 1") / "tokenizer.json").write_text("{}")
    assert model_digest(tmp_path / "d") != first
    (write_model(tmp_path / "e", b"weights 1") / "README.md").write_text("words")
    assert model_digest(tmp_path / "e") == first


@pytest.mark.parametrize("run", ["given", "one"])
def test_answers_are_kept_for_the_same_model_and_data_only(tmp_path: Path, run: str) -> None:
    model, other = write_model(tmp_path / "model", b"weights 1"), write_model(tmp_path / "other", b"weights 2")
    data, reworded = write_data(tmp_path / "data", "What about ego?"), write_data(tmp_path / "reworded", "Who is it?")
    commands = Commands()

    def measure(task: str, model: Path, data: Path) -> None:
        folders = GridFolders(GRID, tmp_path / "out", data=data, models={"given": model})
        measure_cells(folders, commands, tmp_path / "out" / run, model, [Cell(run=run, task=task, ratio=8)])

    measure("mlvu", model, data)
    measure("order", model, data)
    assert commands.called == ["evaluate-video-xl", "measure-films"]
    moved = shutil.copytree(model, tmp_path / "moved"), shutil.copytree(data, tmp_path / "moved data")
    measure("mlvu", *moved)
    measure("order", *moved)
    with pytest.raises(GridChangedError, match="questions_and_media was"):
        measure("mlvu", model, reworded)
    measure("order", model, reworded)  # its films are the grid's own
    if run == "given":
        for task in ("mlvu", "order"):
            with pytest.raises(GridChangedError, match="model was"):
                measure(task, other, data)
    assert len(commands.called) == 2


def test_a_run_stands_on_the_model_that_it_was_trained_from(tmp_path: Path) -> None:
    model, other = write_model(tmp_path / "model", b"weights 1"), write_model(tmp_path / "other", b"weights 2")
    folder, commands = tmp_path / "out" / "one", Commands()
    folder.mkdir(parents=True)
    (folder / "trained.json").write_text("{}")

    def train(model: Path) -> None:
        folders = GridFolders(GRID, tmp_path / "out", models={"given": model})
        train_run(folders, commands, 0, "one", folder, model)

    train(model)
    train(shutil.copytree(model, tmp_path / "moved"))
    with pytest.raises(GridChangedError, match=r"after\.given was"):
        train(other)
    assert commands.called == []
