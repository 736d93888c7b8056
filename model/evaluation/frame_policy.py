"""Which moments of a stretch of video are looked at. Harnesses differ in this, so it is written beside every result."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Placing = Literal["ends", "middles"]


@dataclass(frozen=True, slots=True)
class FramePolicy:
    """How frames are chosen.

    Attributes:
        most: at most so many; where `fps` gives no more than this, `fps` is followed.
        fps: frames a second, the first at the start; None: always `most` frames.
        placing: of `most` frames. "ends": evenly from the first frame of the stretch to its last, as lmms-eval and
            the published code do; "middles": each in the middle of one of `most` equal parts.
    """

    most: int
    fps: float | None = None
    placing: Placing = "ends"

    def __str__(self) -> str:
        """In words, for results."""
        spread = f"{self.most} frames, {self.placing}"
        return spread if self.fps is None else f"{self.fps:g} a second, beyond that {spread}"

    def times(self, start_s: float, end_s: float, frame_s: float) -> np.ndarray:
        """Times in seconds, rising, inside [start, end).

        Args:
            start_s, end_s: of the stretch.
            frame_s: how long one frame of the video is shown; the last time lies so far before the end.
        """
        if self.fps is not None:
            at_rate = np.arange(start_s, max(end_s, start_s + frame_s / 2), 1 / self.fps)
            if len(at_rate) <= self.most:
                return at_rate
        if self.placing == "middles":
            return start_s + (np.arange(self.most) + 0.5) * (end_s - start_s) / self.most
        return np.linspace(start_s, max(end_s - frame_s, start_s), self.most)
