"""A grid: which arms are trained, from which seeds, on what, and what is asked of them in which way."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from model.evaluation.ablation.grid_tasks import BenchmarkTask, FilmTask, GridTask
from model.evaluation.methods.method import ALL, VST, WHOLE_FRAMES, Method
from model.rotary import Positions
from model.training.mixture import MixtureSource
from model.training.train_choices import TrainChoices
from schemas.faults import faults_in


class Films(BaseModel, extra="forbid", frozen=True):
    """Generated films of one data set."""

    first_seed: Annotated[int, Field(ge=0, description="seeds of data sets must not overlap")]
    count: Annotated[int, Field(ge=1)]
    seconds: Annotated[int, Field(ge=16)]
    apart: Annotated[bool, Field(description="no clip looks like an earlier one of its film")] = False
    shorter_spans: Annotated[bool, Field(description="VICO also asks about stretches that are one clip shorter")] = True
    open_share: Annotated[float, Field(ge=0, le=1, description="see `build-vico --open-share`")] = 0.25
    twin_share: Annotated[float, Field(ge=0, le=1, description="see `build-vico --twin-share`")] = 1

    @property
    def seeds(self) -> range:
        """A seed for each film."""
        return range(self.first_seed, self.first_seed + self.count)


class Gate(BaseModel, extra="forbid", frozen=True):
    """A run is trained again, from where it ended, until a task about films comes out well enough."""

    task: str
    ratio: int
    at_least: Annotated[float, Field(gt=0, le=1)]
    most_rounds: Annotated[int, Field(ge=1)]


class Run(BaseModel, extra="forbid", frozen=True):
    """One run of `train-on-shards` for each seed, or a model that is there already."""

    init: Annotated[str | None, Field(
        description="folder of a Video-XL that is there: nothing is trained; the command's --init stands over it")
    ] = None
    after: Annotated[str | None, Field(description="the run whose last checkpoint it starts from")] = None
    choices: Annotated[dict[str, Any], Field(description="choices of train-on-shards, over those of the grid")] = {}
    sources: Annotated[list[MixtureSource], Field(description="its mixture")] = []
    gate: Gate | None = None

    @model_validator(mode="after")
    def _is_trained_or_there(self) -> "Run":
        if self.init is None and not self.sources:
            raise ValueError("it has neither sources to train on nor init, a model that is there")
        if self.init is not None and (self.sources or self.after or self.choices or self.gate):
            raise ValueError("init is a model that is there: leave after, choices, sources and gate out, or init")
        return self


class Cell(BaseModel, extra="forbid", frozen=True):
    """One measured number: what a run says to a task when it looks in one way."""

    run: str
    task: str
    ratio: Annotated[int, Field(ge=1, description="visual tokens for each that is kept; 1: all are kept")]
    method: Annotated[str, Field(description="way to look")] = VST
    positions: Annotated[Positions, Field(description="how positions become angles")] = "published"

    @model_validator(mode="before")
    @classmethod
    def _keep_all_at_ratio_one(cls, said: Any) -> Any:
        """At ratio 1 every way keeps every token: one cell, whatever it was called."""
        return {**said, "method": ALL} if isinstance(said, dict) and said.get("ratio") == 1 else said

    @model_validator(mode="after")
    def _is_a_way(self) -> "Cell":
        _ = self.way
        return self

    @property
    def way(self) -> Method:
        """The way to look."""
        return Method(self.method, self.ratio, self.positions)


def _one_or_many(said: Any) -> Any:
    return said if isinstance(said, list) else [said]


def _many(kind: Any) -> Any:
    return Annotated[list[kind], BeforeValidator(_one_or_many), Field(min_length=1)]


class Cells(BaseModel, extra="forbid", frozen=True):
    """Cells: every combination of what is listed; one word or number is a list of one."""

    run: _many(str)
    task: _many(str)
    ratio: _many(int)
    method: _many(str) = [VST]
    positions: _many(Positions) = ["published"]

    @model_validator(mode="after")
    def _are_cells(self) -> "Cells":
        self.cells()
        return self

    def cells(self) -> list[Cell]:
        """One by one."""
        return [Cell(run=run, task=task, ratio=ratio, method=method, positions=positions) for
                run, task, ratio, method, positions in product(
                    self.run, self.task, self.ratio, self.method, self.positions)]


class Published(Cell):
    """A figure that others published for a cell, on the scale of the results."""

    value: float
    figure: Annotated[str, Field(description="left out: the task's first")] = ""

    @property
    def cell(self) -> Cell:
        """Where it belongs."""
        return Cell(**self.model_dump(include=set(Cell.model_fields)))


class Claim(BaseModel, extra="forbid", frozen=True):
    """What the grid is there to show.

    `above`: the interval of the paired difference to `other` lies above `margin`. `within`: it lies above minus
    `margin`. `chance`: the interval holds chance and reaches no further than `margin` from it: one that is wide enough
    holds anything. `at_least`: the mean is `margin` or more.
    """

    says: str
    kind: Literal["above", "within", "chance", "at_least"]
    cell: Cell
    other: Cell | None = None
    margin: float = 0.0

    @model_validator(mode="after")
    def _compares_with_something(self) -> "Claim":
        if (self.kind in ("above", "within")) != (self.other is not None):
            raise ValueError(f"a claim of the kind {self.kind!r} {'needs' if self.other is None else 'has no'} other")
        return self


class Grid(BaseModel, extra="forbid", frozen=True):
    """The whole experiment."""

    films: Annotated[dict[str, Films], Field(
        description="generated films: 'train' is trained on, others are asked about")] = {}
    stills: Annotated[int, Field(
        ge=0, description="generated pictures with captions, for the first stage of training")] = 0
    span_seconds: Annotated[int | None, Field(
        description="length of the stretches of generated films that are trained on")] = None
    shards: Annotated[list[str], Field(description="folders of shards; the command's --shards are added")] = []
    seeds: Annotated[list[int], Field(min_length=1)] = [0]
    choices: Annotated[dict[str, Any], Field(description="choices of train-on-shards that all runs share")] = {}
    runs: Annotated[dict[str, Run], Field(min_length=1)]
    tasks: Annotated[dict[str, GridTask], Field(min_length=1)]
    cells: Annotated[list[Cells], Field(min_length=1)]
    claims: list[Claim] = []
    published: Annotated[list[Published], Field(description="what others found, shown beside")] = []
    published_in: Annotated[str, Field(description="where")] = ""

    @model_validator(mode="after")
    def _names_exist(self) -> "Grid":
        cells = [*self.all_cells(), *(one.cell for one in self.published)]
        wanted = [
            *((cell.run, self.runs, "run") for cell in cells), *((cell.task, self.tasks, "task") for cell in cells),
            *((run.after, self.runs, "run") for run in self.runs.values() if run.after),
            *((run.gate.task, self.tasks, "task") for run in self.runs.values() if run.gate),
            *((task.films, self.films, "set of films") for task in self.film_tasks().values())]
        for name, there, what in wanted:
            if name not in there:
                raise ValueError(f"no {what} is called {name!r}: there are {', '.join(there) or 'none'}")
        self.levels()
        return self

    @model_validator(mode="after")
    def _films_fit(self) -> "Grid":
        if self.films and self.span_seconds is None:
            raise ValueError("films need span_seconds, the length of the stretches that are trained on")
        seen: set[int] = set()
        for name, films in self.films.items():
            if seen & set(films.seeds):
                raise ValueError(f"films of {name!r} are those of another data set: choose another first_seed")
            seen |= set(films.seeds)
        return self

    @model_validator(mode="after")
    def _tasks_fit(self) -> "Grid":
        films = self.film_tasks()
        for cell in self.all_cells():
            if cell.task in films and (cell.method not in (VST, ALL, *WHOLE_FRAMES) or cell.positions != "published"):
                raise ValueError(
                    f"{cell.way} is not to be had for {cell.task!r}: about generated films there are {VST}, {ALL}, "
                    f"{', '.join(sorted(WHOLE_FRAMES))}, with published positions")
        needing = [*((run.gate.task, "a gate") for run in self.runs.values() if run.gate),
                   *((claim.cell.task, "a claim about chance") for claim in self.claims if claim.kind == "chance")]
        for task, what in needing:
            if task not in films:
                raise ValueError(f"{what} is about a task of generated films, not {task!r}")
        return self

    @model_validator(mode="after")
    def _choices_are_those_of_training(self) -> "Grid":
        for name, run in self.runs.items():
            if run.init is None:
                start = {} if run.after is None else {"init": "somewhere"}
                choices = {**self.choices, **run.choices, **start, "out": "somewhere", "mixture": "some"}
                try:
                    TrainChoices.model_validate(choices)
                except ValidationError as error:
                    raise ValueError(f"run {name}: {'; '.join(faults_in(error, 'choices'))}") from error
        return self

    def film_tasks(self) -> dict[str, FilmTask]:
        """The tasks about generated films."""
        return {name: task for name, task in self.tasks.items() if isinstance(task, FilmTask)}

    def benchmark_tasks(self) -> dict[str, BenchmarkTask]:
        """The tasks of `evaluate-video-xl`."""
        return {name: task for name, task in self.tasks.items() if isinstance(task, BenchmarkTask)}

    def all_cells(self) -> list[Cell]:
        """The cells, those of claims included, each once."""
        of_claims = [cell for claim in self.claims for cell in (claim.cell, claim.other) if cell is not None]
        return list(dict.fromkeys([*(cell for cells in self.cells for cell in cells.cells()), *of_claims]))

    def cells_of(self, run: str) -> list[Cell]:
        """What a run is asked."""
        return [cell for cell in self.all_cells() if cell.run == run]

    def seeds_of(self, run: str) -> Sequence[int | None]:
        """The seeds that a run is trained from; None alone for a model that is there."""
        return self.seeds if self.runs[run].init is None else [None]

    def ratios_of(self, run: str) -> list[int]:
        """The ratios that are drawn from while it is trained; none are known of a model that is there."""
        if self.runs[run].init is not None:
            return []
        choices = {**self.choices, **self.runs[run].choices, "init": "somewhere", "out": "somewhere", "mixture": "some"}
        return sorted(set(TrainChoices.model_validate(choices).ratio_choices))

    def levels(self) -> list[list[str]]:
        """The runs, those that need none first, then those that need these, and so on.

        Raises:
            ValueError: they wait for each other.
        """
        done: list[list[str]] = []
        left = dict(self.runs)
        while left:
            known = {name for level in done for name in level}
            ready = [name for name, run in left.items() if run.after is None or run.after in known]
            if not ready:
                raise ValueError(f"the runs {', '.join(left)} wait for each other")
            done.append(ready)
            left = {name: run for name, run in left.items() if name not in ready}
        return done
