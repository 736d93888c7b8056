"""Visual tokens on demand, a few frames at a time."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Encode = Callable[[Tensor], Tensor]
"""Frames [F, 3, S, S] to visual tokens [F * V, C]."""


class VisualReader:
    """Encodes frames when their tokens are asked for, so that neither the tower's activations nor the tokens
    of a long video are ever held at once.

    Args:
        pixels: groups of frames, [F, 3, S, S] each, encoded as they come.
        encode: the vision tower, projector and pool.
        waiting: tokens that come before those of `pixels`, [n, C].
    """

    def __init__(self, pixels: Iterator[Tensor], encode: Encode, waiting: Tensor | None = None) -> None:
        self._pixels = pixels
        self._encode = encode
        self._waiting = [] if waiting is None or waiting.shape[0] == 0 else [waiting]

    def fill(self, tokens: int) -> int:
        """Encode until `tokens` wait or no frames are left; returns how many wait."""
        waiting = sum(part.shape[0] for part in self._waiting)
        while waiting < tokens and (pixels := next(self._pixels, None)) is not None:
            self._waiting.append(self._encode(pixels))
            waiting += self._waiting[-1].shape[0]
        return waiting

    def take(self, tokens: int) -> Tensor:
        """The next `tokens` visual tokens, [tokens, C]."""
        self.fill(tokens)
        joined = torch.cat(self._waiting)
        # A copy, or the few tokens left over would hold the memory of all that came with them.
        self._waiting = [joined[tokens:].clone()] if joined.shape[0] > tokens else []
        return joined[:tokens]

    def rest(self, like: Tensor) -> Tensor:
        """What waits, without encoding more; `like` gives width, type and device if that is nothing."""
        return torch.cat(self._waiting) if self._waiting else like[:0]
