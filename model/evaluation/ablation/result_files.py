"""The results of a grid on the disk: a table to read, the same as JSON and Parquet, claims, plots.

A row of table.md is a run and a way to look, a column a task. A number is the mean of all seeds and half the width of
its 95 % interval, in per cent unless the benchmark counts points; then each seed, then what others published.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from model.evaluation.ablation.cell_results import CellResult, cell_results
from model.evaluation.ablation.claims import claims_table
from model.evaluation.ablation.gates import gate_rows
from model.evaluation.ablation.grid import Grid
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.kinds_table import kinds_table
from model.evaluation.methods.method import ALL

RESULTS = pa.schema([
    ("run", pa.string()), ("trained_on", pa.list_(pa.string())), ("trained_ratios", pa.list_(pa.int64())),
    ("method", pa.string()), ("ratio", pa.int64()), ("positions", pa.string()), ("task", pa.string()),
    ("figure", pa.string()), ("unit", pa.string()), ("mean", pa.float64()), ("low", pa.float64()),
    ("high", pa.float64()), ("seeds", pa.list_(pa.int64())), ("of_seeds", pa.list_(pa.float64())),
    ("chance", pa.float64()), ("published", pa.float64()), ("questions", pa.int64()), ("videos", pa.int64())])
"""Columns of results.parquet; results.json holds the same, an object a row."""


def write_results(folders: GridFolders) -> None:
    """Write grid.yaml (the grid with what it took from its base), table.md, claims.md, kinds.md, results.json,
    results.parquet, and the plots where matplotlib is installed.

    Raises:
        FileNotFoundError, NoSuchFigureError: see `cell_results`.
    """
    grid, out = folders.grid, folders.out
    results = cell_results(folders)
    rows = [_row(grid, one) for one in results]
    said = yaml.safe_dump(grid.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (out / "grid.yaml").write_text(said, encoding="utf-8")
    (out / "table.md").write_text(table_of(grid, results), encoding="utf-8")
    claims = claims_table(grid.claims, results) + "".join(gate_rows(folders))
    (out / "claims.md").write_text(claims, encoding="utf-8")
    (out / "kinds.md").write_text(kinds_table(folders), encoding="utf-8")
    (out / "results.json").write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows, RESULTS), out / "results.parquet")
    try:
        from model.evaluation.ablation.plots import draw_plots
    except ModuleNotFoundError:
        print("no plots; in the checkout, pip install -e '.[plots]'")
        return
    draw_plots(folders, results)


def table_of(grid: Grid, results: Sequence[CellResult]) -> str:
    """The table as Markdown."""
    columns = list(dict.fromkeys(one.column for one in results))
    by_row: dict[tuple[str, ...], dict[str, CellResult]] = {}
    for one in results:
        by_row.setdefault(_looked(grid, one), {})[one.column] = one
    head = ["run", "trained on", "at ratios", "looks by", "ratio", *columns]
    lines = [head, ["---"] * len(head)]
    lines += [[*row, *(_number(found.get(column)) for column in columns)] for row, found in by_row.items()]
    chances = {one.column: one.chance for one in results if one.chance is not None}
    if chances:
        lines.append(["chance", "", "", "", "", *(_scaled(chances.get(column), "share") for column in columns)])
    about = "" if not grid.published_in else f"\nPublished: {grid.published_in.strip()}\n"
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + about


def _looked(grid: Grid, one: CellResult) -> tuple[str, ...]:
    """What a row of the table begins with."""
    cell, run = one.cell, grid.runs[one.cell.run]
    way = cell.method if cell.positions == "published" else f"{cell.method}, {cell.positions}"
    learned = ["none" if ratio == 1 else str(ratio) for ratio in grid.ratios_of(cell.run)]
    return (cell.run, " + ".join(source.name for source in run.sources), " ".join(learned), way,
            "none" if cell.method == ALL else str(cell.ratio))


def _number(one: CellResult | None) -> str:
    if one is None:
        return ""
    spread = f" ± {_scaled(one.estimate.half_width, one.unit)}" if math.isfinite(one.estimate.half_width) else ""
    seeds = f" ({' '.join(_scaled(mean, one.unit) for mean in one.of_seeds)})" if len(one.of_seeds) > 1 else ""
    published = "" if one.published is None else f"; published {_scaled(one.published, one.unit)}"
    return f"{_scaled(one.estimate.mean, one.unit)}{spread}{seeds}{published}"


def _scaled(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value if unit == 'points' else 100 * value:.1f}"


def _row(grid: Grid, one: CellResult) -> Mapping[str, Any]:
    cell, found = one.cell, one.estimate
    known = math.isfinite(found.half_width)
    return {
        "run": cell.run, "trained_on": [source.name for source in grid.runs[cell.run].sources],
        "trained_ratios": grid.ratios_of(cell.run), "method": cell.method, "ratio": cell.ratio,
        "positions": cell.positions, "task": cell.task, "figure": one.figure, "unit": one.unit, "mean": found.mean,
        "low": found.low if known else None, "high": found.high if known else None,
        "seeds": [seed for seed in grid.seeds_of(cell.run) if seed is not None], "of_seeds": list(one.of_seeds),
        "chance": one.chance, "published": one.published, "questions": found.questions, "videos": found.videos}
