"""Questions whose answer is an order."""

from collections.abc import Sequence

import numpy as np

from pipeline.kinds.draft import Draft, Material, choice_draft, evidence_of, one_of, phrase, phrases
from pipeline.options import tempting_orders, tempting_set
from schemas.records import Clue

_LONGEST_ORDER, _LONGEST_STORY, _SHORTEST_STORY = 5, 8, 4
_OPTIONS = 4
_EVENTS = (
    "In which order do these moments happen in the video?",
    "Put these moments of the video in the order in which they are shown.",
    "Bring these moments into the order in which the video shows them.",
    "The moments below are mixed up. Which order is that of the video?",
    "How do these moments follow each other in the video?",
)
_ACTIONS = (
    "In which order are these things done in the video?",
    "Put these actions into the order in which the video shows them.",
    "The actions below are mixed up. In which order does one see them?",
    "How do these actions follow each other in the video?",
)
_STORIES = (
    "Retell these moments of the video in the order in which they happen, one a line.",
    "These moments of the video are mixed up. Write them down in the order in which they are shown.",
    "Tell the story of the video with these moments, in the right order, one a line.",
    "Sort these moments by when they are shown, the earliest at the top.",
)


def order_events(material: Material, rng: np.random.Generator) -> Draft | None:
    """Bring three to five moments into order."""
    return _order("order_events", _EVENTS, material, material.clues, rng)


def order_actions(material: Material, rng: np.random.Generator) -> Draft | None:
    """Bring three to five actions of different clips into order."""
    return _order("order_actions", _ACTIONS, material, material.actions, rng)


def _order(
    kind: str, wordings: Sequence[str], material: Material, clues: Sequence[Clue], rng: np.random.Generator
) -> Draft | None:
    if len(clues) < 3:
        return None
    size = int(rng.integers(3, min(_LONGEST_ORDER, len(clues)) + 1))
    places = tempting_set(clues, size, rng, is_asked=lambda some: material.before.repeats(kind, phrases(some)))
    if places is None:
        return None
    chosen = [clues[place] for place in places]
    orders = tempting_orders(size, _OPTIONS, rng)
    right = int(rng.integers(len(orders)))
    # The clues are numbered so that the order that was drawn is that of the video.
    shown = [chosen[orders[right].index(number)] for number in range(size)]
    lines = "\n".join(f"({number}) {phrase(clue)}" for number, clue in enumerate(shown, start=1))
    return choice_draft(
        kind, f"{one_of(rng, wordings)}\n{lines}", [_order_text(order) for order in orders], right, chosen, chosen, rng,
        about=phrases(chosen))


def storyline(material: Material, rng: np.random.Generator) -> Draft | None:
    """Write down, in order, four to eight moments that are given out of order."""
    clues = material.clues
    if len(clues) < _SHORTEST_STORY:
        return None
    size = int(rng.integers(_SHORTEST_STORY, min(_LONGEST_STORY, len(clues)) + 1))
    places = tempting_set(
        clues, size, rng, is_asked=lambda some: material.before.repeats("storyline", phrases(some)))
    if places is None:
        return None
    chosen = [clues[place] for place in places]
    mixed = "\n".join(f"- {phrase(chosen[i])}" for i in tempting_orders(size, 1, rng)[0])
    answer = "\n".join(f"{number}. {phrase(clue)}" for number, clue in enumerate(chosen, start=1))
    return Draft(
        kind="storyline", question=f"{one_of(rng, _STORIES)}\n{mixed}", answer=answer, mentioned=tuple(chosen),
        evidence=evidence_of(chosen), about=tuple(phrases(chosen)))


def _order_text(order: tuple[int, ...]) -> str:
    return " → ".join(f"({number + 1})" for number in order)
