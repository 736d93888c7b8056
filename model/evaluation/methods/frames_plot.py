"""Accuracy over the number of frames that fit: the paper's first figure, of one's own measurements.

    python -m model.evaluation.methods.frames_plot --fit frames.json --results RUN/mlvu-dev/results.json... --out FILE

`frames.json` comes from benchmarks/frames_that_fit.py --json, the results from evaluate-video-xl or
model.evaluation.needles.ask; they meet by the name of the way. Needs matplotlib (extra `plots`).
Exit codes: 0 done, 2 wrong call.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.evaluation.methods.method import ALL, Method

DONE, WRONG_CALL = 0, 2
_NEAR_IN_FRAMES, _NEAR_IN_ACCURACY = 1.0, 0.05
"""Points so near each other (natural logarithm; 0 to 1) that their names would meet."""


class NoFigureError(Exception):
    """The answers of a task are scored elsewhere, so that its results hold no accuracy; the message names the task."""


@dataclass(frozen=True, slots=True)
class Point:
    """One way to look.

    Attributes:
        name: of the way.
        frames: that fit.
        accuracy: 0 to 1; `low` and `high` its interval, equal to it where there is none.
    """

    name: str
    frames: int
    accuracy: float
    low: float
    high: float


def points_of(fit: Mapping[str, int], results: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Join frames and results; what has only one of the two is left out.

    Args:
        fit: frames that fit, by way.
        results: contents of results.json files.

    Raises:
        NoFigureError: one of them holds no figure.
    """
    return [
        Point(name, fit[name], mean, low, high)
        for one in results for name, mean, low, high in _accuracies(one) if name in fit]


def draw_frames_plot(points: Sequence[Point], title: str, path: Path) -> None:
    """Write the scatter; the file's ending says as what."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "frames"  # the same points give the same bytes
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for point in points:
        spread = [[100 * (point.accuracy - point.low)], [100 * (point.high - point.accuracy)]]
        axes.errorbar(point.frames, 100 * point.accuracy, yerr=spread, fmt="o", capsize=3)
        above = -14 if _is_crowded(point, points) else 6
        axes.annotate(point.name, (point.frames, 100 * point.accuracy), xytext=(0, above), ha="center",
                      textcoords="offset points")
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.1)  # room for the names
    axes.set_xlabel("frames that fit")
    axes.set_ylabel("% right, with 95 % interval" if any(one.low < one.high for one in points) else "% right")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _is_crowded(point: Point, points: Sequence[Point]) -> bool:
    """Whether the name of a point that is a little better, or as good and named first, stands above this one."""
    return any(
        abs(math.log(other.frames / point.frames)) < _NEAR_IN_FRAMES
        and (0, other.name) < (other.accuracy - point.accuracy, point.name) < (_NEAR_IN_ACCURACY, "")
        for other in points)


def _accuracies(results: Mapping[str, Any]) -> Iterator[tuple[str, float, float, float]]:
    """Way, mean and interval of a results.json of a benchmark, or of each way of a needle grid: of its letters, or of
    forced answers where the needles have no options.
    """
    maps = results.get("maps", ())
    lettered = {one["method"] for one in maps if one["scoring"] == "letter"}
    for one in maps:
        if one["mean"] is not None and (one["scoring"] == "letter" or one["method"] not in lettered):
            yield one["method"], one["mean"], one["mean"], one["mean"]
    if "figures" in results:
        if not results["figures"]:
            raise NoFigureError(f"the results of {results['task']} hold no figure: its answers are scored elsewhere")
        first, mean = results["figures"][0], results["figures"][0]["mean"]
        yield _way(results["settings"]), mean, *(mean if first[end] is None else first[end] for end in ("low", "high"))


def _way(settings: Mapping[str, Any]) -> str:
    """The name of a way to look, as `Method` writes it; several ratios, drawn for each window, are no single way."""
    if settings["method"] != "vst":
        return settings["method"]
    ratio, positions = settings["ratio"], settings["positions"]
    return str(Method(ALL, 1, positions)) if ratio == "1" else f"vst:{ratio}:{positions}".removesuffix(":published")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluation.methods.frames_plot", description=__doc__.split("\n\n")[0])
    parser.add_argument("--fit", type=Path, required=True, help="what benchmarks/frames_that_fit.py --json wrote")
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="results.json files")
    parser.add_argument("--out", type=Path, required=True, help="an .svg, .png or .webp file")
    options = parser.parse_args(argv)
    try:
        fit, results = json.loads(options.fit.read_text()), [json.loads(path.read_text()) for path in options.results]
        points = points_of({one["method"]: one["frames"] for one in fit["ways"]}, results)
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot be read as such a file: {error}", file=sys.stderr)
        return WRONG_CALL
    except NoFigureError as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    if not points:
        print("no way to look is in both the frames and the results", file=sys.stderr)
        return WRONG_CALL
    draw_frames_plot(points, f"{fit['memory_gb']:g} GB", options.out)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
