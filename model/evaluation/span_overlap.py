"""How well spans of time agree: intersection over union.

The best span of each question against the truth, as temporal grounding is scored (R@1 at an IoU, and the mean IoU; Gao
et al., arXiv 1705.02101).
"""

from collections.abc import Sequence

Span = tuple[float, float]
"""Begin and end in seconds."""


def overlap(one: Span, other: Span) -> float:
    """Seconds in both over seconds in either; 0 where both are empty."""
    common = max(min(one[1], other[1]) - max(one[0], other[0]), 0.0)
    either = one[1] - one[0] + other[1] - other[0] - common
    return common / either if either > 0 else 0.0


def best_overlap(found: Sequence[Span], truth: Sequence[Span]) -> float:
    """Of the first span found with the truth, which is one stretch; 0 where nothing was found."""
    [true] = truth
    return overlap(found[0], true) if found else 0.0


def overlap_in_order(found: Sequence[Span], truth: Sequence[Span]) -> float:
    """The mean over spans that belong together, first with first; a span too many or too few counts 0."""
    most = max(len(found), len(truth))
    return sum(overlap(one, other) for one, other in zip(found, truth, strict=False)) / most if most else 0.0
