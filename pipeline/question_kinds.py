"""The kinds of questions. Each turns clues in order of time into drafts; the clock alone decides answers.

Clues given to a kind do not overlap: each ends, with its clips, before the next begins.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.spans import Span
from schemas.records import Caption, Clip, Clue

_LONGEST_ORDER, _LONGEST_STORY = 5, 8
_OPTIONS = 4
_MOST_MISSES = 20
_PARTS = ("the first quarter", "the second quarter", "the third quarter", "the last quarter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A question before it is checked and given an id.

    `evidence` holds (clue id or None, clip index); `clues` are the clues it rests on, in the order of
    the answer; `shown` those it mentions, in the order of the question.
    """

    kind: str
    question: str
    options: tuple[str, ...] = ()
    answer: str
    answer_index: int | None = None
    clues: tuple[Clue, ...] = ()
    option_clues: tuple[Clue, ...] = ()
    evidence: tuple[tuple[str | None, int], ...]


Kind = Callable[[Span, Sequence[Clue], np.random.Generator], Iterator[Draft]]


def order_events(span: Span, clues: Sequence[Clue], rng: np.random.Generator) -> Iterator[Draft]:
    """Bring three to five moments, given out of order, into order; the options are orders.

    Every choice of moments is asked about once; it ends when none is found that is new.
    """
    asked: set[tuple[str, ...]] = set()
    misses = 0
    while len(clues) >= 3 and misses < _MOST_MISSES:
        size = int(rng.integers(3, min(_LONGEST_ORDER, len(clues)) + 1))
        chosen = _some(clues, size, rng)
        names = tuple(clue.clue_id for clue in chosen)
        if names in asked:
            misses += 1
            continue
        asked.add(names)
        shown = [chosen[i] for i in _shuffled_order(size, rng)]
        right = tuple(shown.index(clue) for clue in chosen)
        orders = _tempting_orders(right, rng)
        options, index = _placed([_order_text(order) for order in orders], rng)
        wording = _one_of(rng, (
            "In which order do these moments happen in the video?",
            "Put these moments of the video in the order in which they are shown.",
            "Bring these moments into the order in which the video shows them."))
        lines = "\n".join(f"({number}) {_phrase(clue)}" for number, clue in enumerate(shown, start=1))
        yield Draft(
            kind="order_events", question=f"{wording}\n{lines}", options=options, answer=options[index],
            answer_index=index, clues=tuple(chosen), evidence=_evidence(chosen))


def came_next(span: Span, clues: Sequence[Clue], rng: np.random.Generator) -> Iterator[Draft]:
    """Which of some moments is the first after a given one."""
    for place in _shuffled(range(len(clues) - 1), rng):
        later = clues[place + 1:]
        answer = later[int(rng.integers(0, min(3, len(later))))]
        others = [*clues[:place], *(clue for clue in later if clue.start_s > answer.start_s)]
        yield from _neighbour("came_next", clues[place], answer, others, rng, (
            "Of the moments below, which is the first to be seen after this one?",
            "Which of the moments below follows this one soonest?",
            "After this moment, which of those below does the video show first?"))


def came_before(span: Span, clues: Sequence[Clue], rng: np.random.Generator) -> Iterator[Draft]:
    """Which of some moments is the last before a given one."""
    for place in _shuffled(range(1, len(clues)), rng):
        earlier = clues[:place]
        answer = earlier[-1 - int(rng.integers(0, min(3, len(earlier))))]
        others = [*(clue for clue in earlier if clue.start_s < answer.start_s), *clues[place + 1:]]
        yield from _neighbour("came_before", clues[place], answer, others, rng, (
            "Of the moments below, which is the last to be seen before this one?",
            "Which of the moments below comes shortest before this one?",
            "Before this moment, which of those below does the video show last?"))


def when(span: Span, clues: Sequence[Clue], rng: np.random.Generator) -> Iterator[Draft]:
    """In which quarter of the span a moment lies; moments across a border are not asked about."""
    length = span.end_s - span.start_s
    for clue in _shuffled(clues, rng):
        first, last = (int(4 * (t - span.start_s) / length) for t in (clue.start_s, clue.end_s))
        if first != last:
            continue
        wording = _one_of(rng, (
            "In which part of the video is this to be seen?", "Where in the video does this happen?",
            "In which quarter of the video does this moment lie?"))
        options, index = tuple(f"in {part}" for part in _PARTS), first
        yield Draft(
            kind="when", question=f"{wording}\n{_phrase(clue)}", options=options, answer=options[index],
            answer_index=index, clues=(clue,), evidence=_evidence([clue]))


def storyline(span: Span, clues: Sequence[Clue], rng: np.random.Generator) -> Iterator[Draft]:
    """Write down, in order, up to eight moments that are given out of order."""
    for size in sorted({min(_LONGEST_STORY, len(clues)), min(5, len(clues))}):
        if size < 4:
            continue
        chosen = _some(clues, size, rng)
        wording = _one_of(rng, (
            "Retell these moments of the video in the order in which they happen, one a line.",
            "These moments of the video are mixed up. Write them down in the order in which they are shown."))
        mixed = "\n".join(f"- {_phrase(chosen[i])}" for i in _shuffled_order(size, rng))
        answer = "\n".join(f"{number}. {_phrase(clue)}" for number, clue in enumerate(chosen, start=1))
        yield Draft(
            kind="storyline", question=f"{wording}\n{mixed}", answer=answer, clues=tuple(chosen),
            evidence=_evidence(chosen))


def describe(
    run: Span, clips: Sequence[Clip], captions: dict[int, Caption], rng: np.random.Generator
) -> Iterator[Draft]:
    """Describe a run of clips; the answer is what was said of each, in order."""
    inside = [clip for clip in clips if run.first_clip <= clip.clip_index <= run.last_clip]
    if any(clip.clip_index not in captions for clip in inside):
        return
    said = dict.fromkeys(captions[clip.clip_index].caption for clip in inside)
    wording = _one_of(rng, (
        "Describe what is to be seen in this part of the video.", "What happens in this video? Describe it.",
        "Tell what this stretch of video shows, from beginning to end."))
    yield Draft(
        kind="describe", question=wording, answer=" ".join(said),
        evidence=tuple((None, clip.clip_index) for clip in inside))


ORDER_KINDS: dict[str, Kind] = {
    "order_events": order_events, "came_next": came_next, "came_before": came_before, "when": when,
    "storyline": storyline,
}
"""The kinds that are made from the clues of a span."""


def _neighbour(
    kind: str, anchor: Clue, answer: Clue, others: Sequence[Clue], rng: np.random.Generator,
    wordings: Sequence[str],
) -> Iterator[Draft]:
    if len(others) < 2:
        return
    wrong = _some(others, min(_OPTIONS - 1, len(others)), rng)
    clues = [answer, *wrong]
    options, index = _placed([_phrase(clue) for clue in clues], rng)
    ordered = sorted(clues, key=lambda clue: options.index(_phrase(clue)))
    yield Draft(
        kind=kind, question=f"{_one_of(rng, wordings)}\n{_phrase(anchor)}", options=options,
        answer=options[index], answer_index=index, clues=(anchor, answer), option_clues=tuple(ordered),
        evidence=_evidence(sorted([anchor, *clues], key=lambda clue: clue.start_s)))


def _tempting_orders(right: tuple[int, ...], rng: np.random.Generator) -> list[tuple[int, ...]]:
    """The right order first, then others: one swap away, two swaps away, and any."""
    orders = [right]
    for swaps in (1, 2, None, None, None, None, 1, 1, 1):
        order = list(right)
        if swaps is None:
            order = [right[i] for i in rng.permutation(len(right))]
        else:
            for _ in range(swaps):
                at = int(rng.integers(0, len(order) - 1))
                order[at], order[at + 1] = order[at + 1], order[at]
        if tuple(order) not in orders:
            orders.append(tuple(order))
    return orders[:_OPTIONS]


def _order_text(order: Sequence[int]) -> str:
    return " → ".join(f"({place + 1})" for place in order)


def _placed(options: Sequence[str], rng: np.random.Generator) -> tuple[tuple[str, ...], int]:
    """Options in random order, and where the first of them, the right one, has come to lie."""
    order = rng.permutation(len(options))
    return tuple(options[i] for i in order), int(np.flatnonzero(order == 0)[0])


def _shuffled_order(size: int, rng: np.random.Generator) -> list[int]:
    """A permutation that is not the identity: a question must not give the order away."""
    while True:
        order = rng.permutation(size).tolist()
        if order != sorted(order):
            return order


def _some(clues: Sequence[Clue], size: int, rng: np.random.Generator) -> list[Clue]:
    """`size` of the clues, in order of time."""
    return [clues[i] for i in sorted(rng.choice(len(clues), size, replace=False).tolist())]


def _shuffled(values: Sequence, rng: np.random.Generator) -> list:
    return [values[i] for i in rng.permutation(len(values))]


def _one_of(rng: np.random.Generator, wordings: Sequence[str]) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _phrase(clue: Clue) -> str:
    """The clue on one line."""
    return " ".join(clue.text.split())


def _evidence(clues: Sequence[Clue]) -> tuple[tuple[str, int], ...]:
    return tuple((clue.clue_id, index) for clue in clues for index in clue.clip_indexes)
