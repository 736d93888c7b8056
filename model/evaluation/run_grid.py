"""Run a grid: draw films, build VICO from them, train every run from every seed, ask every question, print the table.

    python -m model.evaluation.run_grid --grid learn --out DIR [--jobs 2]

What is done is not done again: the same command goes on where it was stopped.

    DIR/films/{data set}/    films, captions, vico/ (what build-vico makes of them), moments/
    DIR/stills/              pictures and their captions, tables/ (what import-instructions makes of them)
    DIR/seed-N/{run}/        a folder of train-on-shards, and answers/; a gated run has round-1/, round-2/ ...
    DIR/table.md, claims.md, results.json, *.svg

Exit codes: 0 done, 1 a command that it runs failed, 2 wrong call.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from model.evaluation.grid import Cell, Films, Grid, GridError, Run, read_grid
from model.evaluation.grid_folders import run_folder
from model.evaluation.measure_run import answers_file, read_answers, scores
from model.evaluation.miniature_films import CLIP_S, write_films, write_stills
from model.evaluation.results import write_results
from model.evaluation.single_moments import write_single_moments
from model.training.checkpoint_folder import newest_checkpoint

DONE, FAILED, WRONG_CALL = 0, 1, 2

_MODULES = {
    "build-vico": "flows.build_vico_command", "import-instructions": "pipeline.import_instructions",
    "train-on-shards": "model.training.train_on_shards_command", "measure": "model.evaluation.run_grid"}
"""Commands that are started: by module, so that they are those of this very package."""


class CommandFailedError(Exception):
    """A command did not end well; the message says which and where its words are."""


class GridRun:
    """A grid and the folder it is worked off in.

    Args:
        grid: what is to be done.
        out: the folder.
        jobs: commands at a time, each with one thread.
    """

    def __init__(self, grid: Grid, out: Path, jobs: int) -> None:
        self.grid, self.out, self._jobs = grid, out.absolute(), jobs
        self._grid_file = self.out / "grid.yaml"

    def run(self) -> None:
        """Do everything that is not done yet.

        Raises:
            CommandFailedError: what is finished is kept.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._grid_file.write_text(yaml.safe_dump(self.grid.model_dump(mode="json"), sort_keys=False))
        self._all(self._make_films, self.grid.films.items())
        self._timed(self._make_stills)
        for level in self.grid.levels():
            self._all(self._train_and_measure, [(seed, name) for seed in self.grid.seeds for name in level])
        write_results(self.grid, self.out)

    def _all(self, work: Callable, items: Iterable[tuple]) -> None:
        """Work off items, as many at a time as there are jobs."""
        with ThreadPoolExecutor(self._jobs) as pool:
            futures = [pool.submit(self._timed, work, *item) for item in items]
        for future in futures:
            future.result()

    def _timed(self, work: Callable, *arguments: Any) -> None:
        """Do it, and say how long it took."""
        names = [str(one) for one in arguments if isinstance(one, (str, int))]
        name = " ".join([work.__name__.strip("_").replace("_", " "), *names])
        started = time.monotonic()
        print(f"{name} ...", flush=True)
        work(*arguments)
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)

    # ---- data

    def films_folder(self, name: str) -> Path:
        """Folder of a data set."""
        return self.out / "films" / name

    def data_sets(self, name: str) -> list[Path]:
        """Shards about the films of a data set."""
        return [self.films_folder(name) / "vico", self.films_folder(name) / "moments"]

    @property
    def _stills(self) -> Path:
        return self.out / "stills" / "tables"

    def _make_films(self, name: str, films: Films) -> None:
        folder, (vico, moments) = self.films_folder(name), self.data_sets(name)
        if not (vico / "manifest.json").is_file():
            captions = write_films(folder, films.seeds, films.seconds)
            self._command(
                folder / "build.log", "build-vico", str(folder / "films"), "--out", str(vico),
                "--captioner", "file", "--captions", str(captions), "--clip-seconds", str(CLIP_S),
                "--min-last-clip-seconds", str(CLIP_S), "--frame-side", "32", "--caption-frame-side", "64",
                "--caption-frames", "1", "--spans-minutes", str(self.grid.span_seconds / 60), "--buckets", "2",
                "--test-share", "0" if name == "train" else "1", "--decode-threads", "1")
        write_single_moments(vico, moments, self.grid.span_seconds)

    def _make_stills(self) -> None:
        folder = self._stills.parent
        if not (self._stills / "manifest.json").is_file():
            records = write_stills(folder, self.grid.stills, seed=0)
            self._command(
                folder / "import.log", "import-instructions", str(records), "--media", str(folder / "stills"),
                "--dataset", "stills", "--buckets", "2", "--out", str(self._stills))

    # ---- runs

    def _train_and_measure(self, seed: int, name: str) -> None:
        run = self.grid.runs[name]
        if run.gate is None:
            folder = self.out / f"seed-{seed}" / name
            self._train(seed, run, folder, self._start(seed, run))
        else:
            folder = self._train_to_gate(seed, name, run)
        self._measure(folder, [cell for cell in self.grid.all_cells() if cell.run == name])

    def _start(self, seed: int, run: Run) -> str | None:
        return None if run.after is None else str(newest_checkpoint(run_folder(self.out, seed, run.after))[0])

    def _train_to_gate(self, seed: int, name: str, run: Run) -> Path:
        """Rounds until the gate is passed, or there were enough; returns the folder of the last."""
        start, gate = self._start(seed, run), run.gate
        for number in range(1, gate.most_rounds + 1):
            folder = self.out / f"seed-{seed}" / name / f"round-{number}"
            self._train(seed, run, folder, start)
            self._measure(folder, [Cell(run=name, task=gate.task, ratio=gate.ratio)])
            answers = scores(read_answers(folder, gate.task, gate.ratio))
            share = sum(answers.values()) / len(answers)
            print(f"seed {seed}, {name}, round {number}: {gate.task} {100 * share:.1f} %", flush=True)
            if share >= gate.at_least:
                break
            start = str(newest_checkpoint(folder)[0])
        return folder

    def _train(self, seed: int, run: Run, folder: Path, start: str | None) -> None:
        choices = self.grid.choices | run.choices | {"seed": seed, "checkpoint_steps": 1_000_000, "keep": 1}
        if start is not None:
            choices |= {"init": start}
            choices.pop("sizes", None), choices.pop("vocabulary", None)
        found = newest_checkpoint(folder)
        if found is not None and found[1]["step"] == choices["steps"]:
            return
        folder.mkdir(parents=True, exist_ok=True)
        mixture = {"sources": [source.model_dump(exclude_none=True) for source in run.sources]}
        (folder / "mixture.yaml").write_text(yaml.safe_dump(mixture))
        (folder / "choices.yaml").write_text(yaml.safe_dump(choices))
        # All shards are named, so that the tokenizer of a run from scratch learns the words of every later run.
        self._command(
            folder / "train.log", "train-on-shards", "--config", str(folder / "choices.yaml"), "--out", str(folder),
            "--mixture", str(folder / "mixture.yaml"), "--shards", str(self._stills),
            *map(str, self.data_sets("train")))

    def _measure(self, folder: Path, cells: Sequence[Cell]) -> None:
        """In a process of its own: tensors of several runs would wait for one interpreter."""
        wanted = [f"{cell.task}:{cell.ratio}" for cell in cells
                  if not answers_file(folder, cell.task, cell.ratio).is_file()]
        if wanted:
            self._command(folder / "measure.log", "measure", "--grid", str(self._grid_file),
                          "--out", str(self.out), "--measure", str(folder), "--cells", *wanted)

    def measure(self, folder: Path, cells: Sequence[str]) -> None:
        """Ask a run of the grid what has not been asked yet.

        Args:
            folder: of the run.
            cells: "{task}:{ratio}" each.
        """
        from model.evaluation.measure_run import measure_run

        for name in self.grid.films:
            wanted = [(cell.split(":")[0], int(cell.split(":")[1])) for cell in cells]
            mine = [(task, self.grid.tasks[task], ratio) for task, ratio in wanted
                    if self.grid.tasks[task].films == name]
            measure_run(newest_checkpoint(folder)[0], folder, self.data_sets(name), mine)

    def _command(self, log: Path, command: str, *arguments: str) -> None:
        """Run one of our commands with one thread; what it says goes into a file.

        Raises:
            CommandFailedError: it does not end with 0.
        """
        program = f"import sys; from {_MODULES[command]} import main; sys.exit(main())"
        with log.open("a") as words:
            code = subprocess.run(
                [sys.executable, "-c", program, *arguments], stdout=words, stderr=words, check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode
        if code:
            raise CommandFailedError(f"{command} ended with {code}; what it said: {log}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.run_grid", description=__doc__.split("\n\n")[0])
    parser.add_argument("--grid", default="learn", help="a grid file, or the name of one that comes with the package")
    parser.add_argument("--out", type=Path, required=True, help="folder of the experiment; one that was begun goes on")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cells", nargs="*", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    try:
        grid = GridRun(read_grid(options.grid), options.out, options.jobs)
        if options.measure is not None:
            grid.measure(options.measure, options.cells)
        else:
            grid.run()
            print((options.out / "table.md").read_text(), (options.out / "claims.md").read_text(), sep="\n")
    except GridError as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    except CommandFailedError as error:
        print(f"{error}\nWhat is finished is kept; the same command goes on.", file=sys.stderr)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
