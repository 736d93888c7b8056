"""How far an order agrees with the right one: the longest agreeing part of it, and Kendall's tau."""

import math
from bisect import bisect_right, insort
from collections.abc import Sequence


def longest_agreeing(values: Sequence[float]) -> list[int]:
    """Positions of a longest subsequence that never falls.

    Equal values agree in any order. O(n log n); of several longest ones the same is chosen every time.
    """
    tails: list[float] = []  # the smallest last value of an agreeing subsequence of each length
    holders: list[int] = []  # where it stands
    before: list[int] = []
    for position, value in enumerate(values):
        length = bisect_right(tails, value)
        before.append(holders[length - 1] if length else -1)
        tails[length:length + 1] = [value]
        holders[length:length + 1] = [position]
    kept = []
    position = holders[-1] if holders else -1
    while position >= 0:
        kept.append(position)
        position = before[position]
    return kept[::-1]


def kendall_tau(given: Sequence[int]) -> float:
    """Agreement of an order with the rising one: 1 the same, -1 the reverse, 0 what chance gives on average.

    Args:
        given: the right positions of the items, in the order given; all different, two or more.
    """
    if len(given) < 2 or len(set(given)) != len(given):
        raise ValueError("needs at least two different positions")
    seen: list[int] = []
    agreeing = 0
    for position in given:
        agreeing += bisect_right(seen, position)
        insort(seen, position)
    pairs = len(given) * (len(given) - 1) // 2
    return 2 * agreeing / pairs - 1


def chance_spread(count: int) -> float:
    """Standard deviation of Kendall's tau over random orders of `count` items."""
    return math.sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))
