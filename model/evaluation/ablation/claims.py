"""Whether what a grid was there to show is so."""

from collections.abc import Mapping, Sequence

from model.evaluation.ablation.cell_results import CellResult
from model.evaluation.ablation.grid import Cell, Claim
from model.evaluation.accuracy import Estimate, difference

_ROUNDING = 1e-9
"""What sums of thirds may be off: 3,420 right of 3,600, over three seeds, come out as 0.9499999999999993."""


def judge(claim: Claim, results: Mapping[Cell, CellResult]) -> tuple[bool, Estimate]:
    """Whether a claim holds, and the number it rests on.

    Two cells are compared question by question: of a benchmark whose figure is put together in a way of its own, that
    is the plain mean of all questions.

    Args:
        results: the first figure of each cell.

    Raises:
        ValueError: two cells were not asked the same questions.
    """
    one = results[claim.cell]
    if claim.kind == "chance":
        low, high = one.chance - claim.margin, one.chance + claim.margin
        return low <= one.estimate.low <= one.chance <= one.estimate.high <= high, one.estimate
    if claim.kind == "at_least":
        return one.estimate.mean >= claim.margin - _ROUNDING, one.estimate
    better = difference(one.scores, results[claim.other].scores)
    return (better.low > claim.margin if claim.kind == "above" else better.low >= -claim.margin), better


def claims_table(claims: Sequence[Claim], results: Sequence[CellResult]) -> str:
    """The claims as Markdown."""
    first = {one.cell: one for one in results if one.is_first}
    lines = ["| claim | holds | points | 95 % |", "|---|---|---|---|"]
    for claim in claims:
        holds, found = judge(claim, first)
        # Differences are those of questions, right or wrong, whatever the benchmark counts.
        scale = 1 if claim.other is None and first[claim.cell].unit == "points" else 100
        mean, low, high = (f"{scale * value:.1f}" for value in (found.mean, found.low, found.high))
        lines.append(f"| {claim.says} | {'yes' if holds else 'no'} | {mean} | {low} to {high} |")
    return "\n".join(lines) + "\n"
