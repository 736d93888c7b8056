"""Which frames of a video serve which purpose, decided before the decode from the container's times.

Positions are indexes into `VideoFacts.ticks`. A clip holds the frames shown in [start, end); a frame
belongs to the clip in which it appears, by its own time.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.decode import VideoFacts

_LOOKS_PER_SECOND = 4


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip before it is decoded: frames first … last-1 of the video."""

    index: int
    start_s: float
    end_s: float
    first: int
    last: int
    caption_positions: tuple[int, ...]
    thumbnail_position: int | None


@dataclass(frozen=True, slots=True)
class FramePlan:
    """What one sequential pass has to take from a video.

    `stored` are the frames to keep (one a second), `looks` those to measure and to hash (four a
    second), both ascending positions. `rest_s` is what the end leaves over, shorter than a clip may be.
    """

    clips: tuple[ClipPlan, ...]
    stored: tuple[int, ...]
    looks: tuple[int, ...]
    rest_s: float


def plan_frames(
    facts: VideoFacts, clip_seconds: Fraction, min_last_seconds: Fraction, captions_per_clip: int
) -> FramePlan:
    """Cut a video into clips and choose its frames.

    Args:
        facts: times of all frames.
        clip_seconds: stride and length of the clips, exact.
        min_last_seconds: a last clip shorter than this is left out.
        captions_per_clip: frames for the captioner, in the middle of as many equal parts of the clip.
    """
    duration = facts.end_tick * facts.time_base
    whole, rest = divmod(duration, clip_seconds)
    count = int(whole) + (rest >= min_last_seconds and rest > 0)
    clips = tuple(_plan_clip(facts, i, clip_seconds, duration, captions_per_clip) for i in range(count))
    last = clips[-1].last if clips else 0
    return FramePlan(
        clips=clips,
        stored=_first_in_each(facts, Fraction(1), last),
        looks=_first_in_each(facts, Fraction(1, _LOOKS_PER_SECOND), last),
        rest_s=float(duration - count * clip_seconds) if count == int(whole) else 0.0,
    )


def _plan_clip(facts: VideoFacts, index: int, length: Fraction, duration: Fraction, captions: int) -> ClipPlan:
    start, end = index * length, min((index + 1) * length, duration)
    first, last = np.searchsorted(facts.ticks, [facts.to_ticks(start), facts.to_ticks(end)])
    part = (end - start) / captions
    chosen = {_nearest(facts, start + part * (2 * k + 1) / 2, first, last) for k in range(captions)}
    positions = tuple(sorted(chosen)) if last > first else ()
    return ClipPlan(
        index=index, start_s=float(start), end_s=float(end), first=int(first), last=int(last),
        caption_positions=positions,
        thumbnail_position=_nearest(facts, (start + end) / 2, first, last) if positions else None,
    )


def _nearest(facts: VideoFacts, time: Fraction, first: int, last: int) -> int:
    """The frame of [first, last) whose time is nearest."""
    tick = facts.to_ticks(time)
    after = int(np.clip(np.searchsorted(facts.ticks, tick), first, max(first, last - 1)))
    before = max(first, after - 1)
    is_before_nearer = tick - facts.ticks[before] < facts.ticks[min(after, len(facts.ticks) - 1)] - tick
    return before if is_before_nearer else after


def _first_in_each(facts: VideoFacts, step: Fraction, last: int) -> tuple[int, ...]:
    """The first frame of every `step` seconds, up to position `last`.

    A step in which no frame appears has none: a picture that stands still for long is not repeated,
    so that no stored frame lies in another second, or another clip, than its own.
    """
    slots = np.floor_divide(facts.ticks[:last] * facts.time_base.numerator * step.denominator,
                            facts.time_base.denominator * step.numerator)
    return tuple(np.flatnonzero(np.diff(slots, prepend=-1)).tolist())
