"""Plots of a grid; matplotlib is in the extra `plots`."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from model.evaluation.grid import Cell, Grid
from model.evaluation.grid_folders import round_folders
from model.training.run_log import read_log

_SMOOTH = 20


def draw_plots(grid: Grid, out: Path, results: Mapping[Cell, Any]) -> None:
    """Write accuracy.svg (every cell with its interval and chance) and loss.svg (every run, mean of 20 steps)."""
    matplotlib.rcParams["svg.hashsalt"] = "grid"  # the same results give the same bytes
    _accuracy(results).savefig(out / "accuracy.svg", metadata={"Date": None})
    _losses(grid, out).savefig(out / "loss.svg", metadata={"Date": None})


def _accuracy(results: Mapping[Cell, Any]) -> Figure:
    found = list(results.values())
    figure = Figure(figsize=(8, 1.5 + 0.3 * len(found)), layout="constrained")
    axes = figure.subplots()
    for row, one in enumerate(found):
        axes.errorbar(100 * one.estimate.mean, row, xerr=100 * one.estimate.half_width, fmt="o", color="tab:blue")
        axes.plot([100 * mean for mean in one.of_seeds], [row] * len(one.of_seeds), "|", color="tab:gray")
        axes.plot(100 * one.chance, row, "x", color="tab:red")
    axes.set_yticks(range(len(found)), [f"{one.cell.run}: {one.cell.task}, ratio {one.cell.ratio}" for one in found])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% right with 95 % interval; bars: seeds; crosses: chance")
    return figure


def _losses(grid: Grid, out: Path) -> Figure:
    figure = Figure(figsize=(8, 3 * len(grid.runs)), layout="constrained")
    for axes, name in zip(figure.subplots(len(grid.runs), squeeze=False)[:, 0], grid.runs, strict=True):
        for seed in grid.seeds:
            losses = [step["loss"] for folder in round_folders(out, seed, name) for step in read_log(folder)]
            starts = range(0, len(losses), _SMOOTH)
            axes.plot(starts, [fmean(losses[at:at + _SMOOTH]) for at in starts], label=f"seed {seed}")
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
    return figure
