"""Where one shot ends and the next begins: PySceneDetect's detector, fed frame by frame by our decode."""

from fractions import Fraction

import numpy as np
from scenedetect import FrameTimecode
from scenedetect.common import Timecode
from scenedetect.detectors import AdaptiveDetector

_SHORTEST_SHOT_S = 0.6


class ShotDetector:
    """Finds the first frame of each new shot.

    Times are exact: frames are fed with their own presentation time, not a number over a rate.
    """

    def __init__(self, time_base: Fraction, fps: float) -> None:
        """
        Args:
            time_base: seconds per tick.
            fps: mean frame rate; PySceneDetect wants one, it does not enter the times.
        """
        self._detector = AdaptiveDetector(min_scene_len=_SHORTEST_SHOT_S)
        self._time_base = time_base
        self._rate = Fraction(fps).limit_denominator(100_000)
        self._cuts: list[int] = []

    def feed(self, tick: int, small_bgr: np.ndarray) -> None:
        """Take the next frame, uint8 [h, w, 3]."""
        time = FrameTimecode(Timecode(tick, self._time_base), fps=self._rate)
        self._keep(self._detector.process_frame(time, small_bgr))

    def finish(self, last_tick: int) -> list[int]:
        """The ticks of all cuts, after the last frame."""
        self._keep(self._detector.post_process(FrameTimecode(Timecode(last_tick, self._time_base), fps=self._rate)))
        return self._cuts

    def _keep(self, cuts: list[FrameTimecode]) -> None:
        self._cuts.extend(cut.pts for cut in cuts)
