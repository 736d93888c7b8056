"""Asking a run what it has not been asked yet."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.evaluation.ablation.contents import data_digest, model_digest
from model.evaluation.ablation.grid import Cell
from model.evaluation.ablation.grid_folders import GridFolders, benchmark_answers, film_answers
from model.evaluation.ablation.grid_tasks import BenchmarkTask, FilmTask
from model.evaluation.ablation.made_of import note_made_of
from model.evaluation.ablation.own_commands import CommandFailedError, OwnCommands
from model.evaluation.methods.method import ALL, VST


def is_measured(folders: GridFolders, run: Path, cell: Cell) -> bool:
    """Whether the answers of a cell are there.

    Args:
        run: folder of the run.
    """
    task = folders.grid.tasks[cell.task]
    if isinstance(task, FilmTask):
        return film_answers(run, cell).is_file()
    return (benchmark_answers(run, cell) / task.benchmark / "results.json").is_file()


def measure_cells(
    folders: GridFolders, commands: OwnCommands, run: Path, checkpoint: Path, cells: Sequence[Cell]
) -> None:
    """Ask everything that has not been asked.

    Args:
        run: folder of the run, or of a round of it.
        checkpoint: folder of the model.
        cells: of this run.

    Raises:
        GridChangedError: what is there was asked otherwise.
        CommandFailedError, CommandStoppedError: see `OwnCommands.run`.
    """
    for cell in cells:
        note_made_of(_made_file(folders, run, cell), _facts(folders, cell))
    left = [cell for cell in cells if not is_measured(folders, run, cell)]
    films = folders.grid.film_tasks()
    _measure_films(folders, commands, run, checkpoint, [cell for cell in left if cell.task in films])
    for cell in left:
        if cell.task not in films:
            _measure_benchmark(folders, commands, run, checkpoint, cell)


def _made_file(folders: GridFolders, run: Path, cell: Cell) -> Path:
    if cell.task in folders.grid.film_tasks():
        return film_answers(run, cell).with_suffix(".json")
    return benchmark_answers(run, cell) / "made.json"


def _facts(folders: GridFolders, cell: Cell) -> dict[str, Any]:
    """What the answers of a cell come from. A model that the grid trains is told by the `made.json` of its run."""
    task, given = folders.grid.tasks[cell.task], folders.given_model(cell.run)
    facts: dict[str, Any] = {"task": task.model_dump(exclude={"figures"}), "films": None}
    if isinstance(task, FilmTask):
        facts["films"] = folders.grid.films[task.films].model_dump()
    else:
        facts["questions_and_media"] = data_digest(task.benchmark, folders.data, task.limit)
    if given is not None:
        facts["model"] = model_digest(given)
    return facts


def _measure_films(
    folders: GridFolders, commands: OwnCommands, run: Path, checkpoint: Path, cells: Sequence[Cell]
) -> None:
    """In a process of its own: tensors of several runs would wait for one interpreter."""
    if not cells:
        return
    asked = [
        {"file": str(film_answers(run, cell)), "task": folders.grid.tasks[cell.task].model_dump(),
         "way": str(cell.way), "data_sets": [str(path) for path in folders.sets_of_films(
             folders.grid.tasks[cell.task].films)]} for cell in cells]
    request = run / "measure.json"
    request.write_text(json.dumps({"checkpoint": str(checkpoint), "cells": asked}), encoding="utf-8")
    commands.run(run / "measure.log", "measure-films", request)


def _measure_benchmark(
    folders: GridFolders, commands: OwnCommands, run: Path, checkpoint: Path, cell: Cell
) -> None:
    task: BenchmarkTask = folders.grid.tasks[cell.task]
    way = (["--ratio", str(cell.ratio), "--positions", cell.positions] if cell.method in (VST, ALL)
           else ["--method", str(cell.way)])
    said = {"--frames": task.frames, "--fps": task.fps, "--limit": task.limit}
    choices = [word for flag, value in said.items() if value is not None for word in (flag, str(value))]
    out = benchmark_answers(run, cell)
    commands.run(
        out / "evaluate.log", "evaluate-video-xl", "--model", checkpoint, "--task", task.benchmark,
        "--data", folders.data, "--out", out, *way, *choices, launched=True)
    if not is_measured(folders, run, cell):
        raise CommandFailedError(f"evaluate-video-xl left answers out; what it said: {out / 'evaluate.log'}")
