"""Twins: the same question about the same clips shown in another order, with another answer.

Who prefers a plausible story to the video that is shown gives both the same answer, and is wrong once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from pipeline.clock_check import Ground, Times, agrees_with_clock
from pipeline.work_store import key_of
from schemas.records import Clip, Sample

TWINNED = frozenset({
    "order_events", "order_actions", "storyline", "first_or_last", "came_next", "came_before", "what_follows"})
"""Kinds whose answer changes with the order of the clips."""
_LONGEST = 64
"""Most clips of a span that is shown in another order: its frames are listed one by one."""


@dataclass(frozen=True, slots=True)
class Recut:
    """The clips of a span in another order."""

    clips: tuple[Clip, ...]

    def starts(self) -> dict[int, float]:
        """When each clip begins in the recut video, seconds from its start, by clip index."""
        starts, at = {}, 0.0
        for clip in self.clips:
            starts[clip.clip_index] = at
            at += clip.end_s - clip.start_s
        return starts

    def times(self, times: Times, clip_of: Mapping[str, int]) -> dict[str, tuple[float, float]]:
        """When things are seen in the recut video, seconds from its start.

        Args:
            times: when they are seen in the video, by their words.
            clip_of: the clip that each lies in.
        """
        starts = self.starts()
        shift = {clip.clip_index: starts[clip.clip_index] - clip.start_s for clip in self.clips}
        return {text: (start_s + shift[clip_of[text]], end_s + shift[clip_of[text]])
                for text, (start_s, end_s) in times.items()}


def twin_of(
    sample: Sample, ground: Ground, clip_of: Mapping[str, int], rng: np.random.Generator
) -> tuple[Sample, Recut] | None:
    """A sample asked once more of the span with its evidence clips in each other's places.

    Frames and what depends on them are left to the caller.

    Args:
        sample: the sample.
        ground: what it was checked against; its clips are those of the span.
        clip_of: the only clip that each mentioned thing lies in, by its words.
        rng: the source of chance.

    Returns:
        The twin, whose right option is any of the others, each as likely; None if none can be made.
    """
    if sample.kind not in TWINNED or len(ground.clips) > _LONGEST or set(clip_of) != set(ground.times):
        return None
    options = _options(sample)
    wanted = options[_other(options.index(sample.answer), len(options), rng)] if options else None
    places = sorted({ground.clips.index(clip) for clip in ground.clips if clip.clip_index in clip_of.values()})
    orders = list(permutations(places))
    for number in rng.permutation(len(orders)).tolist()[:720]:
        if list(orders[number]) == places:
            continue
        recut = _recut(ground.clips, places, orders[number])
        moved = replace(ground, times=recut.times(ground.times, clip_of))
        twin = replace(sample, answer=wanted) if wanted else replace(sample, answer=_story(moved.times))
        if sample.options:
            twin = replace(twin, answer_index=sample.options.index(twin.answer))
        elif not wanted and _is_given_away(twin):
            continue
        if agrees_with_clock(twin, moved):
            shown = [clip.clip_index for clip in recut.clips]
            return replace(twin, sample_id=key_of("twin", sample.sample_id, shown), twin_of=sample.sample_id), recut
    return None


def _options(sample: Sample) -> list[str]:
    """Options of a sample, where they stand in the question too."""
    if sample.options or sample.kind == "storyline":
        return list(sample.options)
    return [line.removeprefix("- ") for line in sample.question.split("\n") if line.startswith("- ")]


def _other(right: int, count: int, rng: np.random.Generator) -> int:
    return (right + 1 + int(rng.integers(count - 1))) % count


def _recut(clips: Sequence[Clip], places: Sequence[int], order: Sequence[int]) -> Recut:
    shown = list(clips)
    for place, source in zip(places, order, strict=True):
        shown[place] = clips[source]
    return Recut(tuple(shown))


def _story(times: Times) -> str:
    ordered = sorted(times, key=lambda text: times[text])
    return "\n".join(f"{number}. {text}" for number, text in enumerate(ordered, start=1))


def _is_given_away(twin: Sample) -> bool:
    """Whether the moments of a storyline are listed in their order already."""
    listed = [line.removeprefix("- ") for line in twin.question.split("\n")[1:]]
    return [line.split(". ", 1)[1] for line in twin.answer.split("\n")] == listed
