"""The stretches of a video that questions are about, cut on clip boundaries."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.records import Clip


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a video: clips first … last, both included."""

    first_clip: int
    last_clip: int
    start_s: float
    end_s: float
    minutes: float | None = None
    """The length that was asked for; None for the whole video, and for a run of clips."""


def spans_of(clips: Sequence[Clip], minutes: Sequence[float], clip_seconds: float) -> Iterator[Span]:
    """Spans of each length one after another, then the whole video.

    A length of more than four fifths of the video is left to the whole. A rest at the end shorter than
    half a span is asked about in the whole only.

    Args:
        clips: the clips of the video that were decoded, at least one.
        minutes: lengths of the spans.
        clip_seconds: length of a clip.
    """
    for first, last, length in stretches(clips[-1].clip_index + 1, minutes, clip_seconds):
        yield from _span(clips, first, last, length)


def stretches(
    count: int, minutes: Sequence[float], clip_seconds: float
) -> Iterator[tuple[int, int, float | None]]:
    """The same for a video of `count` clips: first clip, last clip, and the length in minutes, None for the whole."""
    for length in minutes:
        stride = max(1, round(length * 60 / clip_seconds))
        if stride > 0.8 * count:
            continue
        for first in range(0, count, stride):
            last = min(first + stride, count) - 1
            if last - first + 1 >= stride / 2:
                yield first, last, length
    yield 0, count - 1, None


def clip_runs(clips: Sequence[Clip], length: int) -> Iterator[Span]:
    """Runs of `length` clips one after another, of which none is missing."""
    present = {clip.clip_index for clip in clips}
    for first in range(0, clips[-1].clip_index + 1, length):
        if all(index in present for index in range(first, first + length)):
            yield from _span(clips, first, first + length - 1)


def clips_inside(clips: Sequence[Clip], first: int, last: int) -> Sequence[Clip]:
    """The clips first … last, of clips in order of their index."""
    return clips[bisect_left(clips, first, key=_index): bisect_right(clips, last, key=_index)]


def _index(clip: Clip) -> int:
    return clip.clip_index


def _span(clips: Sequence[Clip], first: int, last: int, minutes: float | None = None) -> Iterator[Span]:
    inside = clips_inside(clips, first, last)
    if inside:
        yield Span(first, last, inside[0].start_s, inside[-1].end_s, minutes)
