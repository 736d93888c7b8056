"""The looks of a clip: four times a second its light and colours are measured and its picture is hashed."""

from collections.abc import Sequence
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa

from pipeline.decode import VideoFacts
from pipeline.measures import ClipMeasures
from pipeline.picture_hash import is_flat, picture_hash
from pipeline.small_pictures import LOOK_WIDTH, small_yuv, to_bgr
from schemas.records import Measures

LOOKS = pa.schema([
    ("clip_index", pa.int32()), ("t_s", pa.float64()), ("picture_hash", pa.int64()), ("flat", pa.bool_()),
    ("luma", pa.float32()), ("change", pa.float32()),
])
"""`luma` is the mean, 0 to 255; `change` its mean change since the look before, null for the first of a clip."""

_PAIR_S = 0.1
_LONGEST_PAIR_S = 1.0
_ANOTHER_SHOT = 40
"""Mean difference of luma, 0 to 255, from which two neighbouring pictures are of different shots."""


class ClipLooks:
    """Takes every frame of a clip, and looks at those that are planned."""

    def __init__(self, facts: VideoFacts, planned: Sequence[int]) -> None:
        """
        Args:
            facts: the video's times.
            planned: positions of the frames to look at.
        """
        self._facts, self._planned = facts, frozenset(planned)
        self._measures = ClipMeasures()
        self._rows: list[dict[str, Any]] = []
        self._last: np.ndarray | None = None
        self._pair: tuple[float, np.ndarray] | None = None
        self._paired_second = -1

    def take(self, clip_index: int, position: int, frame: av.VideoFrame) -> None:
        """The next frame of the clip."""
        t_s = self._facts.to_seconds(int(self._facts.ticks[position]))
        self._end_pair(t_s, frame)
        if position not in self._planned:
            return
        yuv = small_yuv(frame, LOOK_WIDTH)
        luma = yuv[..., 0]
        self._measures.look(yuv, to_bgr(yuv))
        self._rows.append({
            "clip_index": clip_index, "t_s": t_s, "picture_hash": picture_hash(luma), "flat": is_flat(luma),
            "luma": float(luma.mean()),
            "change": None if self._last is None else float(cv2.absdiff(self._last, luma).mean())})
        self._last = luma
        if int(t_s) > self._paired_second:  # motion is measured once a second
            self._paired_second = int(t_s)
            self._pair = (t_s, luma)

    def finish(self) -> tuple[Measures, list[dict[str, Any]]]:
        """Measures and rows of the clip; the next frame begins another."""
        rows, self._rows, self._pair, self._last = self._rows, [], None, None
        return self._measures.finish(), rows

    def _end_pair(self, t_s: float, frame: av.VideoFrame) -> None:
        """Measure motion between the picture that waits and the first one a tenth of a second later."""
        if self._pair is None or t_s - self._pair[0] < _PAIR_S:
            return
        earlier_s, before = self._pair
        self._pair = None
        luma = small_yuv(frame, LOOK_WIDTH)[..., 0]
        # Across a cut, or a long standstill, there is no motion to speak of.
        if t_s - earlier_s < _LONGEST_PAIR_S and cv2.absdiff(before, luma).mean() < _ANOTHER_SHOT:
            self._measures.compare(before, luma, t_s - earlier_s)
