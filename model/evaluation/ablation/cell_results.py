"""What the cells of a grid came out as: the mean of all seeds, with an interval over videos.

About generated films every question's score is averaged over the seeds, and the interval is that of these averages. A
benchmark may put its figure together in a way of its own (all four tries right, points of many kinds), so there the
figure is computed for each seed and averaged, and so are the widths of the intervals: a mean of numbers never spreads
more than they do on average, whatever they have in common, so such an interval is rather too wide.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from model.evaluation.ablation.grid import Cell
from model.evaluation.ablation.grid_folders import GridFolders, benchmark_answers, film_answers
from model.evaluation.ablation.grid_tasks import BenchmarkTask, FilmTask
from model.evaluation.ablation.measure_films import read_answers, scores
from model.evaluation.accuracy import Estimate, Question, estimate, over_seeds
from model.evaluation.answer_files import AnswerFiles


class NoSuchFigureError(Exception):
    """A benchmark has no figure of the name that the grid asks for."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """One figure of one cell.

    Attributes:
        figure: its name in results.json; "" for a task about films.
        is_first: whether it is what claims are about.
        of_seeds: the figure of each seed.
        estimate: over all seeds.
        chance: what guessing gives; None where that is not known.
        published: what others found.
        unit: shares are 0 to 1, points may be anything.
        scores: of each question, the mean of all seeds.
    """

    cell: Cell
    figure: str
    is_first: bool
    of_seeds: tuple[float, ...]
    estimate: Estimate
    chance: float | None
    published: float | None
    unit: Literal["share", "points"]
    scores: Mapping[Question, float]

    @property
    def column(self) -> str:
        """Name in tables: the task, and the figure where it is not the first."""
        return self.cell.task if self.is_first else f"{self.cell.task}, {self.figure}"


def cell_results(folders: GridFolders) -> list[CellResult]:
    """All figures of all cells, in the order of the grid.

    Raises:
        FileNotFoundError: a cell was not measured for every seed.
        NoSuchFigureError: names it, and those that there are.
    """
    return [result for cell in folders.grid.all_cells() for result in _of_cell(folders, cell)]


def _of_cell(folders: GridFolders, cell: Cell) -> Iterator[CellResult]:
    runs = [folders.last_round(seed, cell.run) for seed in folders.grid.seeds_of(cell.run)]
    task = folders.grid.tasks[cell.task]
    if isinstance(task, FilmTask):
        yield _of_films(folders, cell, runs)
    else:
        yield from _of_benchmark(folders, cell, task, runs)


def _of_films(folders: GridFolders, cell: Cell, runs: Sequence[Path]) -> CellResult:
    answers = [read_answers(film_answers(run, cell)) for run in runs]
    scored = [scores(one) for one in answers]
    means = tuple(sum(one.values()) / len(one) for one in scored)
    together = over_seeds(scored)
    chance = sum(one.chance for one in answers[0]) / len(answers[0])
    return CellResult(cell, "", True, means, estimate(together), chance, _published(folders, cell, ""), "share",
                      together)


def _of_benchmark(
    folders: GridFolders, cell: Cell, task: BenchmarkTask, runs: Sequence[Path]
) -> Iterator[CellResult]:
    places = [benchmark_answers(run, cell) / task.benchmark for run in runs]
    results = [json.loads((place / "results.json").read_text(encoding="utf-8")) for place in places]
    together = over_seeds([_scores(place) for place in places])
    names = [figure["name"] for figure in results[0]["figures"]]
    for number, name in enumerate(_wanted(cell.task, task.figures or names[:1], names)):
        figures = [next(one for one in result["figures"] if one["name"] == name) for result in results]
        wanted = "" if number == 0 else name
        yield CellResult(
            cell, name, number == 0, tuple(one["mean"] for one in figures), _mean(figures), None,
            _published(folders, cell, wanted), task.unit, together)


def _wanted(task: str, patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The figures that are asked for, each once; a pattern with a star may fit none."""
    for pattern in patterns:
        if "*" not in pattern and pattern not in names:
            raise NoSuchFigureError(f"task {task} has no figure {pattern!r}: there are {', '.join(names)}")
    return list(dict.fromkeys(name for pattern in patterns for name in names if fnmatchcase(name, pattern)))


def _mean(figures: Sequence[Mapping[str, Any]]) -> Estimate:
    """Mean of the means, and of the half widths: see the top of the file."""
    widths = [math.inf if one["high"] is None else one["high"] - one["mean"] for one in figures]
    means = [one["mean"] for one in figures]
    return Estimate(sum(means) / len(means), sum(widths) / len(widths), figures[0]["questions"], figures[0]["videos"])


def _scores(place: Path) -> dict[Question, float]:
    return {(row.video, row.question_id): row.score for row in AnswerFiles(place).read().values()}


def _published(folders: GridFolders, cell: Cell, figure: str) -> float | None:
    return next((one.value for one in folders.grid.published if one.cell == cell and one.figure == figure), None)
