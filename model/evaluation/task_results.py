"""The answers of a task as results: figures with intervals and the published one beside them, as JSON and in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from model.evaluation.task import AnswerRow, Figure, Task


def results_of(task: Task, rows: Sequence[AnswerRow], asked: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What results.json holds.

    Args:
        task: the benchmark.
        rows: all answers.
        asked: questions the whole benchmark has; where there are fewer answers, published figures are left out.
        settings: what the answers depend on.
    """
    usable = [row for row in rows if row.problem is None]
    limit = settings.get("position_limit", math.inf)
    whole = len(rows) == asked
    return {
        "task": task.name,
        "settings": dict(settings),
        "source": task.source,
        "questions": asked,
        "answers": len(rows),
        "not_asked": len(rows) - len(usable),
        "nothing_read": sum(row.read is None and row.format != "open" for row in usable),
        "beyond_positions": sum(row.positions > limit for row in usable),
        "frames": _range([row.frames for row in usable]),
        "published_in": task.published_in,
        "figures": [_figure(figure, whole) for figure in task.figures(rows)],
    }


def table_of(results: Mapping[str, Any]) -> Table:
    """The figures in print."""
    settings = results["settings"]
    whole = results["answers"] == results["questions"]
    part = "" if whole else f", {results['answers']} of {results['questions']} questions"
    table = Table(
        title=f"{results['task']}: {settings['method']}, ratio {settings['ratio']}, {settings['policy']}{part}")
    for column in ("figure", "ours", "95 %", "published", "questions", "videos"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for one in results["figures"]:
        interval = "" if one["low"] is None else f"{_shown(one['low'])} to {_shown(one['high'])}"
        table.add_row(one["name"], _shown(one["mean"]), interval, _shown(one["published"]), str(one["questions"]),
                      str(one["videos"]))
    return table


def _figure(figure: Figure, whole: bool) -> dict[str, Any]:
    found = figure.estimate
    known = math.isfinite(found.half_width)
    return {
        "name": figure.name, "mean": found.mean, "low": found.low if known else None,
        "high": found.high if known else None, "questions": found.questions, "videos": found.videos,
        "published": figure.published if whole else None}


def _range(numbers: Sequence[int]) -> dict[str, int]:
    return {"fewest": min(numbers, default=0), "most": max(numbers, default=0)}


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value <= 1 else f"{value:.1f}"
