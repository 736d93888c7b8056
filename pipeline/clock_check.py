"""Recomputes each answer from the times in the clips table, with code of its own.

The kinds in `pipeline.kinds` work on clues in order; this works on the finished question, its options and
what is known of the clips, and knows nothing of how the question was made.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from schemas.records import Caption, Clip, Sample

Times = Mapping[str, tuple[float, float]]
"""Start and end, seconds, of each thing a question mentions, by the words it is mentioned with."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What an answer is checked against: times by words, and the clips of the span with what is said of them."""

    times: Times
    clips: Sequence[Clip] = ()
    captions: Mapping[int, Caption] = field(default_factory=dict)


def agrees_with_clock(sample: Sample, ground: Ground) -> bool:
    """Whether the answer of a sample, and no other option, follows from the times.

    Raises:
        KeyError: the kind is unknown, or the question mentions something that has no time.
    """
    head, *lines = sample.question.split("\n")
    options = list(sample.options)
    if not options and sample.kind in _CHOICES:  # an open question names its options in lines of their own
        options = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
        lines = [line for line in lines if not line.startswith("- ")]
    elif sample.options and sample.options[sample.answer_index] != sample.answer:
        return False
    return _CHECKS[sample.kind](sample, head, lines, options, ground)


def _order(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    starts = {number: ground.times[_unnumbered(line)] for number, line in enumerate(lines, start=1)}
    right = [option for option in options if _rises([starts[int(n)] for n in re.findall(r"\d+", option)])]
    return right == [sample.answer]


def _came_next(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    anchor_end = ground.times["\n".join(lines)][1]
    after = {option: ground.times[option][0] for option in options if ground.times[option][0] >= anchor_end}
    return bool(after) and _only_least(after) == sample.answer


def _came_before(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    anchor_start = ground.times["\n".join(lines)][0]
    before = {option: -ground.times[option][1] for option in options if ground.times[option][1] <= anchor_start}
    return bool(before) and _only_least(before) == sample.answer


def _first_or_last(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    ordered = sorted(options, key=lambda option: ground.times[option])
    asked = next(name for name in ("last but one", "second", "last", "first") if f"the {name}" in head)
    place = {"first": 0, "second": 1, "last but one": -2, "last": -1}[asked]
    return _rises([ground.times[option] for option in ordered]) and ordered[place] == sample.answer


def _when(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    start_s, end_s = ground.times["\n".join(lines)]
    if sample.answer_index == 4:
        return end_s <= sample.span_start_s or start_s >= sample.span_end_s
    quarter = (sample.span_end_s - sample.span_start_s) / 4
    low = sample.span_start_s + sample.answer_index * quarter
    name = ("first", "second", "third", "last")[sample.answer_index]
    return low <= start_s < end_s <= low + quarter and sample.answer == f"in the {name} quarter"


def _which_minute(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    start_s, end_s = ground.times["\n".join(lines)]
    low = sample.span_start_s + 60 * (int(sample.answer.removeprefix("in minute ")) - 1)
    return low <= start_s < end_s <= low + 60 and len(set(options)) == len(options)


def _look_changed(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    before, after = (_clip_at(_unnumbered(line), ground).measures for line in lines)
    brighter, motions = after.brightness - before.brightness, (before.motion, after.motion)
    if abs(brighter) < 0.1 or max(motions) < 1.4 * min(motions):
        return False
    pace = "faster" if after.motion > before.motion else "slower"
    return sample.answer == f"it is {'brighter' if brighter > 0 else 'darker'}, and things move {pace}"


def _place_changed(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    settings = [_said_at(_unnumbered(line), ground).setting.split() for line in lines]
    start, end = (" ".join(words).rstrip(".") for words in settings)
    right = [option for option in options if option == f"from {start} to {end}"]
    return start != end and right == [sample.answer]


def _storyline(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    told = [re.sub(r"^\d+\. ", "", line) for line in sample.answer.split("\n")]
    asked = [line.removeprefix("- ") for line in lines]
    return sorted(told) == sorted(asked) and _rises([ground.times[text] for text in told])


def _say_what_follows(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    _, end_s = ground.times["\n".join(lines)]
    later = [clip for clip in ground.clips if clip.start_s >= end_s]
    following = min(later, key=lambda clip: clip.start_s, default=None)
    if following is None or following.clip_index != sample.evidence[-1].clip_index:
        return False
    before = [clip.clip_index for clip in ground.clips if clip.end_s <= following.start_s][-1]
    new = [sentence for sentence in ground.captions[following.clip_index].sentences
           if " ".join(sentence.split()) in sample.answer]
    return " ".join(new).split() == sample.answer.split() and not set(new) & set(ground.captions[before].sentences)


def _how_often(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    text = "\n".join(lines)
    said = [ground.captions[clip.clip_index] for clip in ground.clips if clip.clip_index in ground.captions]
    times = {(event.start_s, event.end_s) for caption in said for event in caption.key_events
             if event.text.split() == text.split()}
    names = ("not once", "once", "twice", *(f"{name} times" for name in (
        "three", "four", "five", "six", "seven", "eight")))
    return sample.answer == names[len(times)] and options.count(sample.answer) == 1


def _never_happens(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    outside = [option for option in options if ground.times[option][1] <= sample.span_start_s
               or ground.times[option][0] >= sample.span_end_s]
    inside = [option for option in options if ground.times[option][0] >= sample.span_start_s
              and ground.times[option][1] <= sample.span_end_s]
    return outside == [sample.answer] and len(inside) == len(options) - 1


def _describe(sample: Sample, head: str, lines: list[str], options: list[str], ground: Ground) -> bool:
    inside = all(
        sample.span_start_s <= item.start_s < item.end_s <= sample.span_end_s for item in sample.evidence)
    return inside and _rises([(item.start_s, item.end_s) for item in sample.evidence])


_CHOICES = ("came_next", "came_before", "first_or_last")
"""Kinds whose open questions name the options."""

_CHECKS = {
    "order_events": _order, "order_actions": _order, "came_next": _came_next, "came_before": _came_before,
    "what_follows": _came_next, "first_or_last": _first_or_last, "when": _when, "which_minute": _which_minute,
    "look_changed": _look_changed, "place_changed": _place_changed, "storyline": _storyline,
    "say_what_follows": _say_what_follows, "how_often": _how_often, "never_happens": _never_happens,
    "describe": _describe,
}


def _unnumbered(line: str) -> str:
    return re.sub(r"^\(\d+\) ", "", line)


def _clip_at(text: str, ground: Ground) -> Clip:
    """The clip that something happens in."""
    start_s, end_s = ground.times[text]
    return next(clip for clip in ground.clips if clip.start_s <= start_s and end_s <= clip.end_s)


def _said_at(text: str, ground: Ground) -> Caption:
    return ground.captions[_clip_at(text, ground).clip_index]


def _only_least(values: dict[str, float]) -> str | None:
    """What has the least value, if nothing shares it."""
    least = [name for name, value in values.items() if value == min(values.values())]
    return least[0] if len(least) == 1 else None


def _rises(times: list[tuple[float, float]]) -> bool:
    """Whether each ends before the next begins."""
    return all(earlier[1] <= later[0] for earlier, later in pairwise(times))
