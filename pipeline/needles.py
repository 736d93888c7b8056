"""Needles: stills and short inserts with known content, planted into the pictures of a video while it is decoded.

What they show is drawn by `sample_videos`. They lie in a copy of the video under an id of its own, which goes
through the whole pipeline; how many of them come out as clues is what `pipeline.calibration` counts.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

import av
import numpy as np

from pipeline.frame_plan import ClipPlan
from pipeline.sample_videos import Event, Scene, Script, Word, draw, sample_script
from pipeline.work_store import key_of

VERSION = "1"
"""Part of the ids of planted copies: raise it when the same video would get other needles."""

_LONGEST_S, _SHARE_OF_CLIP = 4.0, 0.4
_CLIPS_EACH, _MOST = 4, 24
"""One needle for so many clips, and at most so many in a video."""
_HEIGHT, _FPS, _WIDTHS = 360, 12, (200, 1280)
_STILL_ACTION = "trembles"
"""An action that shows its subject whole and in the middle all the time."""

_SELDOM_SEEN = {"blinks on and off", "grows out of nothing", "shrinks away", "fades slowly into view"}
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


def is_planted(video_id: str, share: float) -> bool:
    """Whether a video is among the share of which a planted copy is made; from its id alone."""
    digest = hashlib.sha256(f"calibration {video_id}".encode()).hexdigest()
    return int(digest[:12], 16) < share * 16 ** 12


def planted_id(video_id: str, seed: int) -> str:
    """The id of the planted copy of a video."""
    return key_of("planted", VERSION, video_id, seed)


def needle_count(clips: int) -> int:
    """How many needles a video of so many clips is given."""
    return min(_MOST, max(1, clips // _CLIPS_EACH), clips)


def plan_needles(clips: Sequence[ClipPlan], video_id: str, seed: int) -> list[PlannedNeedle]:
    """Needles for a video, spread over its clips, no two alike.

    Args:
        clips: the clips of the video.
        video_id: id of the copy.
        seed: the build's.
    """
    rng = Random(f"{seed} {video_id}")
    clips = [clip for clip in clips if clip.last > clip.first]
    count = needle_count(len(clips))
    contents = _contents(rng.getrandbits(32), count)
    planned = []
    for number, (scene, event) in enumerate(contents):
        clip = clips[rng.randrange(number * len(clips) // count, (number + 1) * len(clips) // count)]
        length_s = clip.end_s - clip.start_s
        lasts_s = min(_LONGEST_S, _SHARE_OF_CLIP * length_s)
        start_s = round(clip.start_s + (0.1 + rng.random() * 0.8) * (length_s - lasts_s), 3)
        planned.append(_planned(scene, event, "still" if number % 2 else "insert", clip.index, start_s, lasts_s))
    return planned


class NeedlePainter:
    """Puts needles in the place of frames; takes the frames of a video in the order of time."""

    def __init__(self, planned: Sequence[PlannedNeedle], upright: tuple[int, int], rotation: int) -> None:
        """
        Args:
            planned: what to plant.
            upright: width and height of the video as shown.
            rotation: degrees counter-clockwise that a player turns the stored picture by.
        """
        self._waiting = sorted(planned, key=lambda one: one.needle.start_s, reverse=True)
        width = round(_HEIGHT * upright[0] / upright[1])
        self._width = min(max(width, _WIDTHS[0]), _WIDTHS[1]) // 2 * 2
        self._rotation = rotation
        self._pictures: Iterator[np.ndarray] = iter(())
        self._shown, self._picture = -1, None
        self._drawn: PlannedNeedle | None = None

    def paint(self, t_s: float, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame, or the picture of the needle that stands at its time."""
        while self._waiting and t_s >= self._waiting[-1].needle.end_s:
            self._waiting.pop()
        if not self._waiting or t_s < self._waiting[-1].needle.start_s:
            return frame
        picture = np.ascontiguousarray(np.rot90(self._at(self._waiting[-1], t_s), -(self._rotation // 90)))
        painted = av.VideoFrame.from_ndarray(picture, format="rgb24")
        return painted.reformat(width=frame.width, height=frame.height, format="yuv420p")

    def _at(self, planned: PlannedNeedle, t_s: float) -> np.ndarray:
        """The picture of a needle at a time: uint8 [h, w, 3], upright."""
        if planned is not self._drawn:
            self._drawn, self._shown = planned, -1
            self._pictures = draw(_script(planned, self._width))
        wanted = _STILL_FRAME if planned.needle.kind == "still" else int((t_s - planned.needle.start_s) * _FPS)
        while self._shown < wanted:
            self._picture = next(self._pictures, self._picture)
            self._shown += 1
        return self._picture


def _contents(seed: int, count: int) -> list[tuple[Scene, Event]]:
    """So many things to show, each in a scene of its own, that share neither shape nor word nor background."""
    found: dict[str, tuple[Scene, Event]] = {}
    shown: set[str] = set()
    script = sample_script(seed, 120.0 + 60.0 * count)
    for scene in script.scenes:
        for event in script.events:
            name = event.subject.letters if isinstance(event.subject, Word) else event.subject.name
            inside = scene.start_s <= event.start_s < scene.end_s
            if inside and scene.name not in shown and name not in found and _is_plain(event):
                shown.add(scene.name)
                found[name] = (scene, event)
    return list(found.values())[:count]


def _is_plain(event: Event) -> bool:
    """Whether one look at any time is enough to see what it is."""
    is_large = isinstance(event.subject, Word) or event.subject.size == "large"
    return is_large and event.action not in _SELDOM_SEEN


def _planned(
    scene: Scene, event: Event, kind: str, clip_index: int, start_s: float, lasts_s: float
) -> PlannedNeedle:
    text = event.text.replace(f" {event.action} ", " stands still ") if kind == "still" else event.text
    subject = event.subject
    name = subject.letters.lower() if isinstance(subject, Word) else f"{subject.colour} {subject.name}"
    if kind == "still":
        event = replace(event, action=_STILL_ACTION)
    needle = Needle(
        clip_index=clip_index, start_s=start_s, end_s=round(start_s + lasts_s, 3), kind=kind, text=text, name=name)
    return PlannedNeedle(needle, scene, event)


def _script(planned: PlannedNeedle, width: int) -> Script:
    """One scene with one event."""
    lasts_s = planned.needle.end_s - planned.needle.start_s
    scene = replace(planned.scene, start_s=0.0, end_s=lasts_s)
    return Script(lasts_s, width, _HEIGHT, _FPS, (scene,), (replace(planned.event, start_s=0.0, end_s=lasts_s),))
