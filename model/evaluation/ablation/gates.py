"""Whether a round of a run with a gate came out well enough."""

from collections.abc import Iterator
from pathlib import Path

from model.evaluation.ablation.grid import Cell, Gate
from model.evaluation.ablation.grid_folders import GridFolders, film_answers
from model.evaluation.ablation.measure_films import read_answers, scores


def asked_at_gate(run: str, gate: Gate) -> Cell:
    """What a run is asked after each round."""
    return Cell(run=run, task=gate.task, ratio=gate.ratio)


def share_right(folder: Path, cell: Cell) -> float:
    """How much of it was right.

    Args:
        folder: of the round.
    """
    answers = scores(read_answers(film_answers(folder, cell)))
    return sum(answers.values()) / len(answers)


def gate_rows(folders: GridFolders) -> Iterator[str]:
    """For each gate a row as in the table of claims: it holds if the last round of every seed passed."""
    for name, run in folders.grid.runs.items():
        if run.gate is not None:
            gate, cell = run.gate, asked_at_gate(name, run.gate)
            shares = [share_right(folders.last_round(seed, name), cell) for seed in folders.grid.seeds]
            rounds = [len(folders.rounds(seed, name)) for seed in folders.grid.seeds]
            told = ", ".join(f"{100 * share:.1f} after {count} round{'s' * (count > 1)}"
                             for share, count in zip(shares, rounds, strict=True))
            says = f"gate of {name}: {100 * gate.at_least:g} % of {gate.task} at ratio {gate.ratio}"
            holds = "yes" if min(shares) >= gate.at_least else "no"
            yield f"| {says} | {holds} | {100 * min(shares):.1f} | each seed: {told} |\n"
