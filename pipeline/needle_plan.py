"""Which needles a copy of a video is given: where they lie, and what they show, no two of them alike.

Two needles that look alike would be dropped as a scene that returns, and the calibration would count the fault of its
own drawing. So what a needle shows is drawn first and hashed as the pipeline does it, and is left out if any of its
pictures is like one of the needles before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from pipeline.frame_plan import ClipPlan
from pipeline.needles import Canvas, Needle, PlannedNeedle
from pipeline.picture_hash import ALIKE_BITS, bit_distances, picture_hash
from pipeline.sample_videos import Event, Scene, Word, sample_script
from pipeline.small_pictures import LOOK_WIDTH, small_yuv

_LONGEST_S, _SHARE_OF_CLIP = 4.0, 0.4
_CLIPS_EACH, _MOST = 4, 24
"""One needle for so many clips, and at most so many in a video."""
_SCRIPT_S = 120.0
"""Seconds of script for each needle: half of it holds enough that may be shown, the rest makes up for what is alike."""
_STILL_ACTION = "trembles"
"""An action that shows its subject whole and in the middle all the time."""
_SELDOM_SEEN = {"blinks on and off", "grows out of nothing", "shrinks away", "fades slowly into view"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a needle lies, and how it is shown."""

    clip_index: int
    start_s: float
    lasts_s: float
    kind: str
    """still or insert"""


def needle_count(clips: int) -> int:
    """How many needles a video of so many clips is given."""
    return min(_MOST, max(1, clips // _CLIPS_EACH), clips)


def plan_needles(clips: Sequence[ClipPlan], canvas: Canvas, video_id: str, seed: int) -> list[PlannedNeedle]:
    """Needles for a video, spread over its clips, no two alike in what they are called and how they look.

    Args:
        clips: the clips of the video.
        canvas: its pictures.
        video_id: id of the copy.
        seed: the build's.
    """
    rng = Random(f"{seed} {video_id}")
    clips = [clip for clip in clips if clip.last > clip.first]
    count = needle_count(len(clips))
    contents = _contents(rng.getrandbits(32), count)
    planned: list[PlannedNeedle] = []
    seen = np.empty(0, dtype=np.int64)
    for place in [_place(clips, number, count, rng) for number in range(count)]:
        for scene, event in contents:
            one = _planned(scene, event, place)
            looks = _looks(one, canvas)
            if (bit_distances(looks, seen) > ALIKE_BITS).all():
                planned.append(one)
                seen = np.concatenate([seen, looks])
                break
    return planned


def _place(clips: Sequence[ClipPlan], number: int, count: int, rng: Random) -> _Place:
    """A stretch of one of the clips that fall to a needle."""
    clip = clips[rng.randrange(number * len(clips) // count, (number + 1) * len(clips) // count)]
    length_s = clip.end_s - clip.start_s
    lasts_s = min(_LONGEST_S, _SHARE_OF_CLIP * length_s)
    start_s = round(clip.start_s + (0.1 + rng.random() * 0.8) * (length_s - lasts_s), 3)
    return _Place(clip.index, start_s, lasts_s, "still" if number % 2 else "insert")


def _contents(seed: int, count: int) -> Iterator[tuple[Scene, Event]]:
    """Things to show, each in a scene of its own, that share neither shape nor word nor background."""
    names: set[str] = set()
    shown: set[str] = set()
    script = sample_script(seed, 2 * _SCRIPT_S + _SCRIPT_S * count)
    for scene in script.scenes:
        for event in script.events:
            name = event.subject.letters if isinstance(event.subject, Word) else event.subject.name
            inside = scene.start_s <= event.start_s < scene.end_s
            if inside and scene.name not in shown and name not in names and _is_plain(event):
                shown.add(scene.name)
                names.add(name)
                yield scene, event


def _is_plain(event: Event) -> bool:
    """Whether one look at any time is enough to see what it is."""
    is_large = isinstance(event.subject, Word) or event.subject.size == "large"
    return is_large and event.action not in _SELDOM_SEEN


def _planned(scene: Scene, event: Event, place: _Place) -> PlannedNeedle:
    text = event.text.replace(f" {event.action} ", " stands still ") if place.kind == "still" else event.text
    subject = event.subject
    name = subject.letters.lower() if isinstance(subject, Word) else f"{subject.colour} {subject.name}"
    if place.kind == "still":
        event = replace(event, action=_STILL_ACTION)
    needle = Needle(
        clip_index=place.clip_index, start_s=place.start_s, end_s=round(place.start_s + place.lasts_s, 3),
        kind=place.kind, text=text, name=name)
    return PlannedNeedle(needle, scene, event)


def _looks(planned: PlannedNeedle, canvas: Canvas) -> np.ndarray:
    """Hashes of all that a needle shows, as `looks` takes them in the decode: int64 [pictures]."""
    sideways = canvas.rotation % 180 != 0
    width, height = (canvas.height, canvas.width) if sideways else (canvas.width, canvas.height)
    return np.array([picture_hash(small_yuv(canvas.painted(picture, width, height), LOOK_WIDTH)[..., 0])
                     for picture in canvas.pictures(planned)], dtype=np.int64)
