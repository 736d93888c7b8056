"""Plots of a grid; matplotlib is in the extra `plots`."""

from collections.abc import Sequence
from statistics import fmean

import matplotlib
from matplotlib.figure import Figure

from model.evaluation.ablation.cell_results import CellResult
from model.evaluation.ablation.grid_folders import GridFolders
from model.training.run_log import read_log

_SMOOTH = 20


def draw_plots(folders: GridFolders, results: Sequence[CellResult]) -> None:
    """Write, as .svg and .png, `accuracy` (every share with its interval and chance) and `loss` (every run that was
    trained, mean of 20 steps).
    """
    matplotlib.rcParams["svg.hashsalt"] = "grid"  # the same results give the same bytes
    shares = [one for one in results if one.unit == "share"]
    trained = [name for name, run in folders.grid.runs.items() if run.init is None]
    drawn = {"accuracy": _accuracy(shares) if shares else None, "loss": _losses(folders, trained) if trained else None}
    for name, figure in drawn.items():
        if figure is not None:
            figure.savefig(folders.out / f"{name}.svg", metadata={"Date": None})
            figure.savefig(folders.out / f"{name}.png", dpi=120)


def _accuracy(results: Sequence[CellResult]) -> Figure:
    figure = Figure(figsize=(8, 1.5 + 0.3 * len(results)), layout="constrained")
    axes = figure.subplots()
    for row, one in enumerate(results):
        axes.errorbar(100 * one.estimate.mean, row, xerr=100 * one.estimate.half_width, fmt="o", color="tab:blue")
        axes.plot([100 * mean for mean in one.of_seeds], [row] * len(one.of_seeds), "|", color="tab:gray")
        for value, mark, colour in ((one.chance, "x", "tab:red"), (one.published, "D", "tab:orange")):
            if value is not None:
                axes.plot(100 * value, row, mark, color=colour)
    axes.set_yticks(range(len(results)), [f"{one.cell.run}: {one.column}, {one.cell.way}" for one in results])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% right with 95 % interval; bars: seeds; crosses: chance; diamonds: published")
    return figure


def _losses(folders: GridFolders, runs: Sequence[str]) -> Figure:
    figure = Figure(figsize=(8, 3 * len(runs)), layout="constrained")
    for axes, name in zip(figure.subplots(len(runs), squeeze=False)[:, 0], runs, strict=True):
        for seed in folders.grid.seeds:
            losses = [step["loss"] for folder in folders.rounds(seed, name) for step in read_log(folder)]
            starts = range(0, len(losses), _SMOOTH)
            axes.plot(starts, [fmean(losses[at:at + _SMOOTH]) for at in starts], label=f"seed {seed}")
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
    return figure
