"""Merging similar frames, MovieChat's way (arXiv 2307.16449): in each short stretch the two most similar neighbouring
frames are averaged, again and again, until few enough are left.

As published: a buffer of frames, plain means (a frame merged before counts no more than one that was not), the next
buffer begins where the last one ended. Not as published: similarity is the paper's, the mean cosine of the tokens that
lie in one place, where the code takes dot products of all tokens with all; the buffer is four frames for each that is
kept of four (published: 18 to 2), so that the factor can be chosen; there is no Q-Former, tokens are the projector's.
"""
# ruff: noqa: N806 (names end in the shape of the tensor)

from collections.abc import Iterator
from math import ceil

import torch
from torch.nn.functional import cosine_similarity

from model.evaluation.methods.kept_tokens import Frames, Kept, groups_of, whole_frame

LEFT_OF_BUFFER = 4
"""Frames that a full buffer is merged to."""


def merge_frames(frames: Frames, factor: int) -> Iterator[Kept]:
    """Merge every `LEFT_OF_BUFFER * factor` frames to `LEFT_OF_BUFFER`; the last buffer may be shorter."""
    first = 0
    for buffer in groups_of(frames, LEFT_OF_BUFFER * factor):
        slots = [(tokens_VC, first + place, first + place) for place, tokens_VC in enumerate(buffer)]
        while len(slots) > ceil(len(buffer) / factor):
            tokens_FVC = torch.stack([tokens_VC for tokens_VC, _, _ in slots])
            likeness_F = cosine_similarity(tokens_FVC[:-1], tokens_FVC[1:], dim=-1).mean(-1)
            place = int(likeness_F.argmax())
            merged = ((slots[place][0] + slots[place + 1][0]) / 2, slots[place][1], slots[place + 1][2])
            slots[place:place + 2] = [merged]
        for tokens_VC, start, stop in slots:
            yield whole_frame(tokens_VC, start, stop)
        first += len(buffer)
