"""Working off a grid: generate data, train every run from every seed, ask every question, write the tables.

What is done is not done again.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from model.evaluation.ablation.gates import asked_at_gate, share_right
from model.evaluation.ablation.generated_data import films_are_there, make_films, make_stills, stills_are_there
from model.evaluation.ablation.grid import Cell, Run
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.measure_cells import is_measured, measure_cells
from model.evaluation.ablation.own_commands import OwnCommands
from model.evaluation.ablation.progress import Progress
from model.evaluation.ablation.train_run import is_trained, train_run
from model.evaluation.ablation.work_off import Work, work_off
from model.training.checkpoint_folder import newest_checkpoint


class GridRun:
    """A grid that is worked off.

    Args:
        folders: the grid and where it lies.
        commands: starts the commands.
        jobs: commands at a time.
        progress: is told what begins and ends.
    """

    def __init__(self, folders: GridFolders, commands: OwnCommands, jobs: int, progress: Progress) -> None:
        self._folders, self._grid, self._commands = folders, folders.grid, commands
        self._jobs, self._progress = jobs, progress

    def run(self) -> None:
        """Do everything that is not done yet; the first failure ends what is running, and what is finished is kept.

        Raises:
            CommandFailedError, CommandStoppedError, GridChangedError: the message says what happened.
        """
        data = [Work((name,), partial(self._films, name)) for name in self._grid.films]
        self._all([*data, Work(("stills",), self._stills)] if self._grid.stills else data)
        runs = [name for level in self._grid.levels() for name in level]
        self._all([Work((seed, name), partial(self._run, seed, name), self._before(seed, name))
                   for seed in (None, *self._grid.seeds) for name in runs if seed in self._grid.seeds_of(name)])

    def _before(self, seed: int | None, name: str) -> tuple[int | None, str] | None:
        """The run that one comes after, and its seed: None if it is a model that is there."""
        after = self._grid.runs[name].after
        if after is None:
            return None
        return (seed if self._grid.runs[after].init is None else None), after

    def _all(self, work: Sequence[Work]) -> None:
        work_off(work, self._jobs, self._commands.stop)

    def _films(self, name: str) -> None:
        with self._progress.of(not films_are_there(self._folders, name), "draw films", set=name):
            make_films(self._folders, self._commands, name, self._grid.films[name])

    def _stills(self) -> None:
        with self._progress.of(not stills_are_there(self._folders), "draw stills"):
            make_stills(self._folders, self._commands)

    def _run(self, seed: int | None, name: str) -> None:
        run, folder = self._grid.runs[name], self._folders.run(seed, name)
        if run.gate is not None:
            folder = self._train_to_gate(seed, name, run)
        elif run.init is None:
            self._train(seed, name, folder, self._start(seed, name))
        self._measure(seed, name, folder, self._grid.cells_of(name))

    def _start(self, seed: int, name: str) -> Path | None:
        before = self._before(seed, name)
        return self._folders.checkpoint(*before) if before else None

    def _train_to_gate(self, seed: int, name: str, run: Run) -> Path:
        """Rounds until the gate is passed, or there were enough; returns the folder of the last."""
        start, gate = self._start(seed, name), run.gate
        asked = asked_at_gate(name, gate)
        for number in range(1, gate.most_rounds + 1):
            folder = self._folders.run(seed, name) / f"round-{number}"
            self._train(seed, name, folder, start, number)
            self._measure(seed, name, folder, [asked])
            share = share_right(folder, asked)
            self._progress.say("gate", run=name, seed=seed, round=number, task=gate.task, right=round(share, 4))
            if share >= gate.at_least:
                break
            start = newest_checkpoint(folder)[0]  # of this round: a later one may have been begun and stopped
        return folder

    def _train(self, seed: int, name: str, folder: Path, start: Path | None, round_: int = 1) -> None:
        with self._progress.of(not is_trained(folder), "train", run=name, seed=seed):
            train_run(self._folders, self._commands, seed, name, folder, start, round_)

    def _measure(self, seed: int | None, name: str, folder: Path, cells: Sequence[Cell]) -> None:
        left = [cell for cell in cells if not is_measured(self._folders, folder, cell)]
        checkpoint = self._folders.given_model(name) or newest_checkpoint(folder)[0]
        with self._progress.of(bool(left), "measure", run=name, seed=seed, cells=len(left)):
            measure_cells(self._folders, self._commands, folder, checkpoint, cells)
