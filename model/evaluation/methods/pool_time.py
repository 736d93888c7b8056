"""Mean pooling over time: `factor` neighbouring frames become one, averaged place by place."""

from collections.abc import Iterator

import torch

from model.evaluation.methods.kept_tokens import Frames, Kept, groups_of, whole_frame


def pool_time(frames: Frames, factor: int) -> Iterator[Kept]:
    """Average groups of `factor` frames; the last group may be smaller."""
    first = 0
    for group in groups_of(frames, factor):
        yield whole_frame(torch.stack(group).mean(0), first, first + len(group) - 1)
        first += len(group)
