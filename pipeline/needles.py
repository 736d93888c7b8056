"""Needles: stills and short inserts with known content, planted into the pictures of a video while it is decoded.

What they show is drawn by `sample_videos`; which ones a video is given says `needle_plan`. They lie in a copy of the
video under an id of its own, which goes through the whole pipeline; how many of them come out as clues is what
`calibration` counts.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import av
import numpy as np

from pipeline.decode import VideoFacts
from pipeline.sample_videos import Event, Scene, Script, draw
from pipeline.work_store import key_of

VERSION = "2"
"""Part of the ids of planted copies: raise it when the same video would get other needles."""

_HEIGHT, _FPS, _WIDTHS = 360, 12, (200, 1280)
_STILL_FRAME = 4
"""The frame of a drawn event that a still shows: by then the subject has faded in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """Something planted: where, what a viewer would say of it, and the words that must not be missing."""

    clip_index: int
    start_s: float
    end_s: float
    kind: str
    """still or insert"""
    text: str
    name: str


@dataclass(frozen=True, slots=True)
class PlannedNeedle:
    """A needle with what it is drawn from."""

    needle: Needle
    scene: Scene
    event: Event


@dataclass(frozen=True, slots=True)
class Canvas:
    """The pictures of a video that needles are painted over."""

    width: int
    """As shown."""
    height: int
    rotation: int
    """Degrees counter-clockwise that a player turns the stored picture by."""

    @staticmethod
    def of(facts: VideoFacts) -> "Canvas":
        """That of a video."""
        return Canvas(facts.width, facts.height, facts.rotation)

    def pictures(self, planned: PlannedNeedle) -> Iterator[np.ndarray]:
        """Everything that a needle shows, twelve pictures a second: uint8 [h, w, 3], upright; of a still the one."""
        width = min(max(round(_HEIGHT * self.width / self.height), _WIDTHS[0]), _WIDTHS[1]) // 2 * 2
        drawn = draw(_script(planned, width))
        return islice(drawn, _STILL_FRAME, _STILL_FRAME + 1) if planned.needle.kind == "still" else drawn

    def painted(self, picture: np.ndarray, width: int, height: int) -> av.VideoFrame:
        """A picture, upright, as a frame of the video's stored width and height."""
        turned = np.ascontiguousarray(np.rot90(picture, -(self.rotation // 90)))
        return av.VideoFrame.from_ndarray(turned, format="rgb24").reformat(
            width=width, height=height, format="yuv420p")


def is_planted(video_id: str, share: float) -> bool:
    """Whether a video is among the share of which a planted copy is made; from its id alone."""
    digest = hashlib.sha256(f"calibration {video_id}".encode()).hexdigest()
    return int(digest[:12], 16) < share * 16 ** 12


def planted_id(video_id: str, seed: int) -> str:
    """The id of the planted copy of a video."""
    return key_of("planted", VERSION, video_id, seed)


class NeedlePainter:
    """Puts needles in the place of frames; takes the frames of a video in the order of time."""

    def __init__(self, planned: Sequence[PlannedNeedle], canvas: Canvas) -> None:
        """
        Args:
            planned: what to plant.
            canvas: the video's pictures.
        """
        self._waiting = sorted(planned, key=lambda one: one.needle.start_s, reverse=True)
        self._canvas = canvas
        self._pictures: Iterator[np.ndarray] = iter(())
        self._shown, self._picture = -1, None
        self._drawn: PlannedNeedle | None = None

    def paint(self, t_s: float, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame, or the picture of the needle that stands at its time."""
        while self._waiting and t_s >= self._waiting[-1].needle.end_s:
            self._waiting.pop()
        if not self._waiting or t_s < self._waiting[-1].needle.start_s:
            return frame
        return self._canvas.painted(self._at(self._waiting[-1], t_s), frame.width, frame.height)

    def _at(self, planned: PlannedNeedle, t_s: float) -> np.ndarray:
        """The picture of a needle at a time: uint8 [h, w, 3], upright."""
        if planned is not self._drawn:
            self._drawn, self._shown = planned, -1
            self._pictures = self._canvas.pictures(planned)
        wanted = int((t_s - planned.needle.start_s) * _FPS)
        while self._shown < wanted:
            self._picture = next(self._pictures, self._picture)
            self._shown += 1
        return self._picture


def _script(planned: PlannedNeedle, width: int) -> Script:
    """One scene with one event."""
    lasts_s = planned.needle.end_s - planned.needle.start_s
    scene = replace(planned.scene, start_s=0.0, end_s=lasts_s)
    return Script(lasts_s, width, _HEIGHT, _FPS, (scene,), (replace(planned.event, start_s=0.0, end_s=lasts_s),))
