"""Reading a grid file: YAML, what it takes over from another grid, and what is wrong with it.

    base: {grid: learn, runs: [look, find]}   films, tasks, choices and these runs of another grid; its cells,
                                              claims and published figures stay behind
    runs:
      find: {choices: {steps: 300}}           what is said here stands over what the base says, key by key
      find: {gate: null}                      null takes away what the base says
      other: {like: find, choices: ...}       a run as another one, but for what is said here
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from model.evaluation.ablation.grid import Grid
from schemas.faults import faults_in

GRIDS = Path(__file__).parent.parent / "grids"


class GridError(Exception):
    """The grid file cannot be used; the message says why."""


class Base(BaseModel, extra="forbid", frozen=True):
    """The grid that another one is based on.

    Attributes:
        grid: a path, or the name of one that comes with the package.
        runs: that are taken over; None: all.
    """

    grid: str
    runs: list[str] | None = None


_LEFT_BEHIND = ("cells", "claims", "published", "published_in")


def read_grid(name: str) -> Grid:
    """Read a grid file.

    Args:
        name: a path, or the name of a grid that comes with the package ("learn").

    Raises:
        GridError: it is not there, no YAML, or says something impossible.
    """
    said = _like_others(_with_base(name, ()), name)
    try:
        return Grid.model_validate(said)
    except ValidationError as error:
        raise GridError("\n  - ".join([f"grid {name}:", *faults_in(error, "grid")])) from error


def bundled_grids() -> list[str]:
    """Names of the grids that come with the package."""
    return sorted(file.stem for file in GRIDS.glob("*.yaml"))


def _with_base(name: str, above: tuple[str, ...]) -> dict[str, Any]:
    """What a file says, over what its base says."""
    if name in above:
        raise GridError(f"grid {name}: it is based on itself ({' on '.join([*above, name])})")
    said = _read_yaml(name)
    if "base" not in said:
        return said
    try:
        base = Base.model_validate(said.pop("base"))
    except ValidationError as error:
        raise GridError("\n  - ".join([f"grid {name}: base:", *faults_in(error, "base")])) from error
    below = {key: value for key, value in _with_base(base.grid, (*above, name)).items() if key not in _LEFT_BEHIND}
    if base.runs is not None:
        missing = [run for run in base.runs if run not in below["runs"]]
        if missing:
            raise GridError(f"grid {name}: its base {base.grid} has no run {missing[0]!r}: there are "
                            f"{', '.join(below['runs'])}")
        below["runs"] = {run: below["runs"][run] for run in base.runs}
    return _over(below, said)


def _read_yaml(name: str) -> dict[str, Any]:
    path = Path(name) if Path(name).suffix else GRIDS / f"{name}.yaml"
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise GridError(f"grid {name}: {error}; the package brings: {', '.join(bundled_grids())}") from error
    if not isinstance(said, dict) or not isinstance(said.get("runs", {}), dict):
        raise GridError(f"grid {name}: expected a mapping with runs, tasks and cells; runs is a mapping too")
    return said


def _like_others(said: dict[str, Any], name: str) -> dict[str, Any]:
    runs = {}
    for run, words in said.get("runs", {}).items():
        if isinstance(words, dict) and "like" in words:
            model = said["runs"].get(words["like"])
            if not isinstance(model, dict) or "like" in model:
                raise GridError(f"grid {name}: run {run} is like {words['like']!r}: that must be a run that is like "
                                "no other")
            words = _over(model, {key: value for key, value in words.items() if key != "like"})
        runs[run] = words
    return {**said, "runs": runs}


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both, key by key; where both say something that is no mapping, `above` stands, and null takes a key away."""
    both = {key: value for key, value in below.items() if key not in above or above[key] is not None}
    for key, value in above.items():
        if isinstance(value, dict):
            both[key] = _over(below[key] if isinstance(below.get(key), dict) else {}, value)
        elif value is not None:
            both[key] = value
    return both
