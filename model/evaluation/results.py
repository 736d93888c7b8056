"""The answers of a grid as tables: every cell with its interval, every claim with whether it holds, and plots."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model.evaluation.accuracy import Estimate, Question, difference, estimate, over_seeds
from model.evaluation.grid import Cell, Claim, Grid
from model.evaluation.grid_folders import run_folder
from model.evaluation.measure_run import read_answers, scores


@dataclass(frozen=True, slots=True)
class CellResult:
    """What a cell came out as.

    Attributes:
        of_seeds: accuracy of each seed.
        estimate: over the questions, each the mean of all seeds.
        chance: mean over the questions.
        scores: of each question, the mean of all seeds.
    """

    cell: Cell
    of_seeds: tuple[float, ...]
    estimate: Estimate
    chance: float
    scores: Mapping[Question, float]


def cell_result(grid: Grid, out: Path, cell: Cell) -> CellResult:
    """Read one cell.

    Raises:
        FileNotFoundError: it was not measured for every seed.
    """
    runs = [read_answers(run_folder(out, seed, cell.run), cell.task, cell.ratio) for seed in grid.seeds]
    scored = [scores(run) for run in runs]
    means = tuple(sum(one.values()) / len(one) for one in scored)
    together = over_seeds(scored)
    chance = sum(one.chance for one in runs[0]) / len(runs[0])
    return CellResult(cell, means, estimate(together), chance, together)


def write_results(grid: Grid, out: Path) -> None:
    """Write table.md, claims.md and results.json, and the plots where matplotlib is installed."""
    results = {cell: cell_result(grid, out, cell) for cell in grid.all_cells()}
    (out / "table.md").write_text(_table(list(results.values())), encoding="utf-8")
    judged = [(claim, *judge(claim, results)) for claim in grid.claims]
    (out / "claims.md").write_text(_claims(judged), encoding="utf-8")
    facts = [{**cell.model_dump(), "of_seeds": one.of_seeds, "chance": one.chance, **asdict(one.estimate)}
             for cell, one in results.items()]
    (out / "results.json").write_text(json.dumps(facts, indent=1))
    try:
        from model.evaluation.plots import draw_plots
    except ModuleNotFoundError:
        print("no plots: pip install 'video-xl[plots]'")
        return
    draw_plots(grid, out, results)


def judge(claim: Claim, results: Mapping[Cell, CellResult]) -> tuple[bool, Estimate]:
    """Whether a claim holds, and the number it rests on."""
    one = results[claim.cell]
    if claim.kind == "chance":
        return one.estimate.low <= one.chance <= one.estimate.high, one.estimate
    if claim.kind == "at_least":
        return one.estimate.mean >= claim.margin, one.estimate
    better = difference(one.scores, results[claim.other].scores)
    return (better.low > claim.margin if claim.kind == "above" else better.low >= -claim.margin), better


def _table(results: Sequence[CellResult]) -> str:
    lines = ["| run | task | ratio | right % | 95 % | seeds | chance % | questions | videos |",
             "|---|---|---|---|---|---|---|---|---|"]
    for one in results:
        found, seeds = one.estimate, " ".join(f"{100 * mean:.1f}" for mean in one.of_seeds)
        lines.append(
            f"| {one.cell.run} | {one.cell.task} | {one.cell.ratio} | {100 * found.mean:.1f} | "
            f"{100 * found.low:.1f} to {100 * found.high:.1f} | {seeds} | {100 * one.chance:.1f} | "
            f"{found.questions} | {found.videos} |")
    return "\n".join(lines) + "\n"


def _claims(judged: Sequence[tuple[Claim, bool, Estimate]]) -> str:
    lines = ["| claim | holds | points | 95 % |", "|---|---|---|---|"]
    lines += [f"| {claim.says} | {'yes' if holds else 'no'} | {100 * found.mean:.1f} | {100 * found.low:.1f} to "
              f"{100 * found.high:.1f} |" for claim, holds, found in judged]
    return "\n".join(lines) + "\n"
