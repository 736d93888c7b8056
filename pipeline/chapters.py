"""Cuts a video of any length into overlapping chapters of clips, each of which fits a request."""

from collections.abc import Sequence

_OVERLAP_SHARE = 6
"""A chapter repeats the last sixth of the one before, a clip at least."""


def plan_chapters(sizes: Sequence[int], room: int, most: int) -> list[range]:
    """Chapters that cover all clips, as ranges of positions.

    Args:
        sizes: tokens that each clip takes in a request; none may be larger than `room`.
        room: tokens that a chapter may take.
        most: clips that a chapter may hold, two at least.

    Returns:
        Ranges that rise and overlap, unless a single clip fills a chapter.
    """
    chapters: list[range] = []
    first = 0
    while first < len(sizes):
        last, taken = first, 0
        while last < len(sizes) and last - first < most and taken + sizes[last] <= room:
            taken += sizes[last]
            last += 1
        if last == first:
            raise ValueError(f"clip {first} takes {sizes[first]} tokens, more than the {room} of a chapter")
        chapters.append(range(first, last))
        if last == len(sizes):
            break
        # However much is repeated, every chapter brings something new.
        overlap = min(last - first - 1, max(1, (last - first) // _OVERLAP_SHARE))
        first = last - overlap
        if sum(sizes[first:last + 1]) > room:
            first = last
    return chapters
