"""Which stored frames a frame budget shows: the one rule that maker, trainer and evaluator share.

Of M stored frames of a span a budget of n ≤ M shows those in the middle of n equal parts:
frame floor((i + 1/2) · M / n) for i = 0 … n-1. A budget of M or more shows every frame.
"""

from collections.abc import Sequence

import numpy as np


def uniform_indexes(available: int, budget: int) -> np.ndarray:
    """Positions of the frames that are shown.

    Args:
        available: number of stored frames in the span (M).
        budget: most frames that may be shown (n).

    Returns:
        int64 array of min(available, budget) positions, strictly increasing.
    """
    if available < 1 or budget < 1:
        raise ValueError(f"needs at least one frame and a budget of one, got {available} and {budget}")
    shown = min(available, budget)
    return (2 * np.arange(shown, dtype=np.int64) + 1) * available // (2 * shown)


def smallest_budget(available: int, stretches: Sequence[tuple[int, int]], keep: int = 2) -> int | None:
    """The smallest budget from which on every stretch keeps `keep` frames, whatever the budget.

    The count of shown frames in a stretch does not grow evenly with the budget, so the answer is one
    more than the largest budget that fails, not the first that passes.

    Args:
        available: number of stored frames in the span (M).
        stretches: [first, last+1) positions among those frames, one pair for each evidence clip.
        keep: frames that each stretch must keep.

    Returns:
        The budget, or None when a stretch holds fewer than `keep` stored frames.
    """
    shortest = min(last - first for first, last in stretches)
    if shortest < keep:
        return None
    # n parts of M/n frames: an interval of c frames holds at least floor(c·n/M) middles, so from
    # n = keep·M/c on nothing can fail.
    ceiling = min(available, -(-keep * available // shortest))
    budgets = np.arange(1, ceiling + 1, dtype=np.int64)
    fails = np.zeros(len(budgets), dtype=bool)
    for first, last in stretches:
        fails |= _middles_before(last, available, budgets) - _middles_before(first, available, budgets) < keep
    if not fails.any():
        return 1
    return int(budgets[fails][-1]) + 1


def _middles_before(position: int, available: int, budgets: np.ndarray) -> np.ndarray:
    """How many i ≥ 0 have floor((2i + 1)·M / 2n) < position, for each budget n.

    (2i + 1)·M / 2n < p, p whole  ⇔  i < p·n/M - 1/2, so the count is ceil((2pn - M) / 2M).
    """
    return np.clip(-(-(2 * position * budgets - available) // (2 * available)), 0, budgets)
