"""Which of several comes first or last, and in which part or minute of the span a moment lies."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pipeline.kinds.draft import Draft, Material, choice_draft, evidence_of, one_of, phrase, phrases
from pipeline.options import tempting_set
from pipeline.spans import Span
from schemas.records import Clue

_PLACES = {4: ("first", "second", "last but one", "last"), 3: ("first", "second", "last")}
_NTH = (
    "Which of these moments is the {} in the video?", "Of the moments below, which is the {} that the video shows?",
    "Sorted by when they are shown, which of these moments is the {}?",
)
_WHEN = (
    "In which part of the video is this to be seen?", "Where in the video does this happen?",
    "In which quarter of the video does this moment lie?", "How far into the video is this shown?",
)
_PARTS = ("in the first quarter", "in the second quarter", "in the third quarter", "in the last quarter")
NEVER = "it does not happen in this video"
_MINUTE = (
    "In which minute of the video does this happen?", "During which minute of the video is this shown?",
    "Counting minutes from the beginning of the video, in which one does this moment lie?",
)
_MINUTES = 4
_LONGEST_SEARCH = 64
"""That something is not in a span rests on all its clips; longer spans are not asked."""


def first_or_last(material: Material, rng: np.random.Generator) -> Draft | None:
    """Which of four moments, or three where no four are left, is the first, the last or next to them.

    Each place is as likely.
    """
    sets = (tempting_set(
        material.clues, size, rng, is_asked=lambda some: material.before.repeats("first_or_last", phrases(some)))
        for size in _PLACES)
    places = next(filter(None, sets), None)
    if places is None:
        return None
    options = [material.clues[place] for place in places]
    right = int(rng.integers(len(places)))
    wording = one_of(rng, _NTH).format(_PLACES[len(places)][right])
    return choice_draft(
        "first_or_last", wording, phrases(options), right, options, options, rng, about=phrases(options),
        open_share=material.open_share)


def when(material: Material, rng: np.random.Generator) -> Draft | None:
    """In which quarter of the span a moment lies; or in none, where some are known not to lie in it.

    As long as each option has a moment that was not asked about, one of the options is drawn, each as likely.
    """
    span = material.span
    quarters = _by_part(_fresh("when", material.clues, material), span.start_s, (span.end_s - span.start_s) / 4)
    if set(quarters) != {0, 1, 2, 3}:
        return None
    choices: list[Sequence[Clue]] = [quarters[part] for part in range(4)]
    options = list(_PARTS)
    if material.absent and len(material.clips) <= _LONGEST_SEARCH:
        absent = _fresh("when", material.absent, material)
        if not absent:
            return None
        choices.append(absent)
        options.append(NEVER)
    right = int(rng.integers(len(choices)))
    clue: Clue = one_of(rng, choices[right])
    everywhere = tuple((None, clip.clip_index) for clip in material.clips)
    return Draft(
        kind="when", question=f"{one_of(rng, _WHEN)}\n{phrase(clue)}", options=tuple(options), answer=options[right],
        answer_index=right, mentioned=(clue,), evidence=everywhere if right == 4 else evidence_of([clue]),
        about=(_at(span, clue),), about_each=True)


def which_minute(material: Material, rng: np.random.Generator) -> Draft | None:
    """In which of four minutes of the span a moment lies; neighbouring minutes as often as any.

    Only minutes with a moment that was not asked about are offered, so that each of the four may be the right one.
    """
    minutes = _by_part(_fresh("which_minute", material.clues, material), material.span.start_s, 60.0)
    if len(minutes) < _MINUTES:
        return None
    known = sorted(minutes)
    if rng.random() < 0.5:
        first = int(rng.integers(len(known) - _MINUTES + 1))
        known = known[first: first + _MINUTES]
    chosen = [known[i] for i in sorted(rng.choice(len(known), _MINUTES, replace=False).tolist())]
    right = int(rng.integers(_MINUTES))
    clue: Clue = one_of(rng, minutes[chosen[right]])
    options = tuple(f"in minute {minute + 1}" for minute in chosen)
    return Draft(
        kind="which_minute", question=f"{one_of(rng, _MINUTE)}\n{phrase(clue)}", options=options,
        answer=options[right], answer_index=right, mentioned=(clue,), evidence=evidence_of([clue]),
        about=(_at(material.span, clue),), about_each=True)


def _at(span: Span, clue: Clue) -> str:
    """A clue as asked about in spans of one length: in a span of another length the answer is another."""
    return f"{span.minutes} {phrase(clue)}"


def _fresh(kind: str, clues: Sequence[Clue], material: Material) -> list[Clue]:
    """Clues that were not asked about."""
    return [clue for clue in clues if not material.before.repeats(kind, [_at(material.span, clue)], each=True)]


def _by_part(clues: Sequence[Clue], start_s: float, length_s: float) -> dict[int, list[Clue]]:
    """Clues that lie wholly in one part of the span, by part."""
    parts: dict[int, list[Clue]] = defaultdict(list)
    for clue in clues:
        first, last = (int((t - start_s) / length_s) for t in (clue.start_s, clue.end_s))
        if first == last:
            parts[first].append(clue)
    return parts
