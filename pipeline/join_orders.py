"""Joins orders of overlapping chapters into one."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

from pipeline.agreeing_order import longest_agreeing

Item = TypeVar("Item", bound=Hashable)


def join_orders(orders: Sequence[Sequence[Item]]) -> list[Item]:
    """One order out of several, given in the order of their chapters.

    What two chapters share holds them together: between two shared items come the earlier chapter's own, then the
    later chapter's. Where the later chapter contradicts the earlier one about shared items, the earlier one holds.
    """
    joined: list[Item] = []
    for order in orders:
        joined = _join(joined, list(dict.fromkeys(order)))
    return joined


def _join(joined: list[Item], order: list[Item]) -> list[Item]:
    places = {item: place for place, item in enumerate(joined)}
    shared = [item for item in order if item in places]
    agreeing = longest_agreeing([places[item] for item in shared])
    anchors = {shared[position] for position in agreeing}
    # Each anchor with what the later chapter puts right before it; at the end, what it puts after all of them.
    before: dict[Item, list[Item]] = {}
    waiting: list[Item] = []
    for item in order:
        if item in anchors:
            before[item], waiting = waiting, []
        elif item not in places:
            waiting.append(item)
    return [new for item in joined for new in (*before.get(item, ()), item)] + waiting
