"""A grid: which arms are trained, from which seeds, on what, and what is asked of them at which ratios."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model.training.mixture import MixtureSource
from schemas.faults import faults_in

GRIDS = Path(__file__).parent / "grids"


class GridError(Exception):
    """The grid file cannot be used; the message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Films(_Part):
    """Generated films of one data set."""

    first_seed: Annotated[int, Field(ge=0, description="seeds of data sets must not overlap")]
    count: Annotated[int, Field(ge=1)]
    seconds: Annotated[int, Field(ge=16)]

    @property
    def seeds(self) -> range:
        """A seed for each film."""
        return range(self.first_seed, self.first_seed + self.count)


class Gate(_Part):
    """A run is trained again, from where it ended, until a task comes out well enough."""

    task: str
    ratio: int
    at_least: Annotated[float, Field(gt=0, le=1)]
    most_rounds: Annotated[int, Field(ge=1)]


class Run(_Part):
    """One run of `train-on-shards` for each seed."""

    after: Annotated[str | None, Field(description="the run whose last checkpoint it starts from")] = None
    choices: Annotated[dict[str, Any], Field(description="choices of train-on-shards, over those of the grid")]
    sources: Annotated[list[MixtureSource], Field(min_length=1, description="its mixture")]
    gate: Gate | None = None


class Task(_Part):
    """Questions that runs are asked."""

    films: Annotated[str, Field(description="data set")]
    kinds: Annotated[list[str], Field(min_length=1, description="kinds of samples")]
    formats: Annotated[list[Literal["multiple_choice", "open"]], Field(description="forms of samples")] = [
        "multiple_choice", "open"]
    span_seconds: Annotated[int, Field(description="length of the stretches that are asked about")]
    questions: Annotated[int, Field(ge=1, description="most questions")]
    frames: Annotated[Literal["shown", "shuffled", "black"], Field(
        description="what the model sees: the frames, the same ones in a random order, or nothing")] = "shown"


class Cell(_Part):
    """One measured number: what a run says to a task at a ratio."""

    run: str
    task: str
    ratio: int


class Claim(_Part):
    """What the grid is there to show. `more`, `less` than `other` by `margin` (paired), or than chance or a number.

    `above`: the interval lies above `other` + `margin`. `within`: not more than `margin` below `other`, interval
    included. `chance`: the interval holds chance. `at_least`: the mean is `margin` or more.
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


class Grid(_Part):
    """The whole experiment."""

    films: Annotated[dict[str, Films], Field(description="'train', and others that are asked about")]
    stills: Annotated[int, Field(ge=1, description="single pictures with captions, for the first stage")]
    span_seconds: Annotated[int, Field(description="length of the stretches that are trained on")]
    seeds: Annotated[list[int], Field(min_length=1)]
    choices: Annotated[dict[str, Any], Field(description="choices of train-on-shards that all runs share")]
    runs: dict[str, Run]
    tasks: dict[str, Task]
    cells: Annotated[list[Cell], Field(min_length=1)]
    claims: list[Claim] = []

    @model_validator(mode="after")
    def _names_exist(self) -> "Grid":
        cells = [*self.cells, *(cell for claim in self.claims for cell in (claim.cell, claim.other) if cell)]
        gates = [run.gate.task for run in self.runs.values() if run.gate]
        wanted = [
            *((name, self.runs, "run") for name in [*(cell.run for cell in cells),
                                                    *(run.after for run in self.runs.values() if run.after)]),
            *((name, self.tasks, "task") for name in [*(cell.task for cell in cells), *gates]),
            *((task.films, self.films, "set of films") for task in self.tasks.values())]
        if "train" not in self.films:
            raise ValueError("no set of films is called 'train'")
        for name, there, what in wanted:
            if name not in there:
                raise ValueError(f"no {what} is called {name!r}")
        seen: set[int] = set()
        for name, films in self.films.items():
            if seen & set(films.seeds):
                raise ValueError(f"films of {name!r} are those of another data set: choose another first_seed")
            seen |= set(films.seeds)
        return self

    def all_cells(self) -> list[Cell]:
        """The cells, those of claims included, each once."""
        of_claims = [cell for claim in self.claims for cell in (claim.cell, claim.other) if cell is not None]
        return list(dict.fromkeys([*self.cells, *of_claims]))

    def levels(self) -> list[list[str]]:
        """The runs, those that need none first, then those that need these, and so on."""
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


def read_grid(name: str) -> Grid:
    """Read a grid file.

    Args:
        name: a path, or the name of a grid that comes with the package ("learn").

    Raises:
        GridError: it is not there, no YAML, or says something impossible.
    """
    path = GRIDS / f"{name}.yaml" if not Path(name).suffix else Path(name)
    try:
        return Grid.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        bundled = ", ".join(sorted(file.stem for file in GRIDS.glob("*.yaml")))
        raise GridError(f"grid {name}: {error}; the package brings: {bundled}") from error
    except ValidationError as error:
        raise GridError("\n  - ".join([f"grid {name}:", *faults_in(error, "grid")])) from error
