"""How often something happens, and what never does: asked only where the truth about the span is complete."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from pipeline.kinds.draft import Draft, Material, choice_draft, one_of, phrase, phrases
from pipeline.options import are_alike, shares_alike, stems, tempting_set
from pipeline.sentences import telling_words
from pipeline.spans import Span
from pipeline.wording_check import wording_fault
from schemas.records import Caption, Clip, Clue

_LONGEST_COUNT = 64
"""A count rests on every clip of the span; longer spans are not asked."""
_HIGHEST = 8
_TIMES = ("not once", "once", "twice", "three times", "four times", "five times", "six times", "seven times",
          "eight times")
_HOW_OFTEN = (
    "How often does this happen in the video?", "How many times is this to be seen in the video?",
    "Count how many times the video shows this.",
)
_NEVER = (
    "Which of these never happens in the video?", "Which of these is not to be seen in the video?",
    "All but one of these are shown in the video. Which is not?",
)
_DRAWS = 8
_ALIKE = 0.8
"""Share of the words of the shorter of two names from which on they may name one thing."""


def how_often(material: Material, rng: np.random.Generator) -> Draft | None:
    """How often an event happens; the options are counts of which each is that of some event."""
    span = material.span

    def about(text: str) -> str:
        return f"{span.minutes} {span.first_clip} {text}"

    fresh = {count: [text for text in texts if not material.before.repeats("how_often", [about(text)], each=True)]
             for count, texts in material.counted.items()}
    counts = sorted(count for count, texts in fresh.items() if texts)
    if len(counts) < 3:
        return None
    chosen = sorted(rng.choice(counts, min(4, len(counts)), replace=False).tolist())
    right = int(rng.integers(len(chosen)))
    text: str = one_of(rng, fresh[chosen[right]])
    options = tuple(_TIMES[count] for count in chosen)
    return Draft(
        kind="how_often", question=f"{one_of(rng, _HOW_OFTEN)}\n{text}", options=options,
        answer=options[right], answer_index=right,
        evidence=tuple((None, clip.clip_index) for clip in material.clips),
        about=(about(text),), about_each=True)


def never_happens(material: Material, rng: np.random.Generator) -> Draft | None:
    """Three moments of the span and one of another part of the video."""
    if not material.absent:
        return None
    for _ in range(_DRAWS):
        places = tempting_set(material.clues, 3, rng)
        if places is None:
            return None
        inside = [material.clues[place] for place in places]
        outside = one_of(rng, material.absent)
        words = [stems(clue.text) for clue in (*inside, outside)]
        # Three moments of one scene and one of another would be told apart by their words.
        is_asked = material.before.repeats("never_happens", phrases([*inside, outside]))
        if not is_asked and are_alike([*inside, outside]) and all(
                shares_alike(mine, [other for other in words if other is not mine]) for mine in words):
            break
    else:
        return None
    options = [*inside, outside]
    return choice_draft(
        "never_happens", one_of(rng, _NEVER), phrases(options), 3, options, inside, rng,
        about=phrases(options))


def counted_events(
    span: Span, clips: Sequence[Clip], captions: Mapping[int, Caption], absent: Sequence[Clue]
) -> dict[int, list[str]]:
    """Events of a span whose truth is complete, by how often they happen; only those that can be told apart.

    Args:
        span: the span.
        clips: its clips.
        captions: what is said of them.
        absent: clues that are known not to be seen in the span.
    """
    if len(clips) > _LONGEST_COUNT:
        return {}
    happened = _event_times(clips, captions)
    words = {text: telling_words(text) for text in happened}
    by_count: dict[int, list[str]] = defaultdict(list)
    for text, times in sorted(happened.items()):
        is_inside = times[0][0] >= span.start_s and times[-1][1] <= span.end_s
        are_apart = all(earlier[1] < later[0] for earlier, later in pairwise(times))
        others = [said for other, said in words.items() if other != text]
        if len(times) <= _HIGHEST and is_inside and are_apart and not _is_named(words[text], others) \
                and not wording_fault(text):
            by_count[len(times)].append(text)
    unseen = [phrase(clue) for clue in absent
              if clue.kind == "event" and not _is_named(telling_words(clue.text), words.values())]
    return dict(by_count) | ({0: unseen} if unseen else {})


def _is_named(words: frozenset[str], others: Iterable[frozenset[str]]) -> bool:
    """Whether an event of nearly the same words is among some."""
    return any(len(words & other) >= _ALIKE * max(1, min(len(words), len(other))) for other in others)


def _event_times(clips: Sequence[Clip], captions: Mapping[int, Caption]) -> dict[str, list[tuple[float, float]]]:
    """When each event happens, by its words; an event over several clips counts once."""
    found: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for clip in clips:
        caption = captions.get(clip.clip_index)
        for event in caption.key_events if caption else []:
            found[" ".join(event.text.split())].add((event.start_s, event.end_s))
    return {text: sorted(times) for text, times in found.items()}
