"""Dropping frames: of every `factor` neighbouring frames only the middle one is shown."""

from collections.abc import Iterator

from model.evaluation.methods.kept_tokens import Frames, Kept, groups_of, whole_frame


def drop_frames(frames: Frames, factor: int) -> Iterator[Kept]:
    """Pass on the middle frame of each group, of two middle ones the first; the last group may be smaller."""
    first = 0
    for group in groups_of(frames, factor):
        middle = (len(group) - 1) // 2
        yield whole_frame(group[middle], first + middle, first + middle)
        first += len(group)
