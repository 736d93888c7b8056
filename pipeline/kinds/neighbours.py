"""What came next, what came before, and what follows a moment that is to be found."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.kinds.draft import Draft, Material, choice_draft, one_of, phrase, phrases
from pipeline.options import are_alike, shares_alike, stems, tempting_set
from schemas.records import Clue

_MOST, _FEWEST = 4, 3
_DRAWS = 12
_LOOKED_AT = 64
"""Most moments and what follows them that are looked at for four that go together."""
_TRIED = 8
"""Most clues that are tried between two options."""
_NEXT = (
    "Of the moments below, which is the first to be seen after this one?",
    "Which of the moments below follows this one soonest?",
    "After this moment, which of those below does the video show first?",
    "Once this has been shown, which of the moments below is the next to come?",
)
_BEFORE = (
    "Of the moments below, which is the last to be seen before this one?",
    "Which of the moments below comes shortest before this one?",
    "Before this moment, which of those below does the video show last?",
    "Going back from this moment, which of those below does one meet first?",
)
_FOLLOWS = (
    "Find the moment described here. Which of the moments below follows it soonest?",
    "Look for this moment in the video. What of the following is shown soonest after it?",
    "Find where the video shows this. With which of the moments below does it go on?",
)


def came_next(material: Material, rng: np.random.Generator) -> Draft | None:
    """Which of some moments is the first after a given one."""
    return _neighbour("came_next", material, rng)


def came_before(material: Material, rng: np.random.Generator) -> Draft | None:
    """Which of some moments is the last before a given one."""
    return _neighbour("came_before", material, rng)


def _neighbour(kind: str, material: Material, rng: np.random.Generator) -> Draft | None:
    """Between two neighbouring options lie clues: asked about one of them, the later (or earlier) option is right."""
    clues, forward = material.clues, kind == "came_next"
    for draw in range(_DRAWS):
        size = _FEWEST if len(clues) < 2 * _MOST or draw >= _DRAWS // 2 else _MOST
        places = tempting_set(
            clues, size, rng, gap=1, before=forward, after=not forward,
            is_asked=lambda some: material.before.repeats(kind, phrases(some)))
        if places is None:
            return None
        options = [clues[place] for place in places]
        anchors = _anchors(clues, places, forward, rng)
        if all(anchors):
            break
    else:
        return None
    right = int(rng.integers(size))
    anchor: Clue = one_of(rng, anchors[right])
    question = f"{one_of(rng, _NEXT if forward else _BEFORE)}\n{phrase(anchor)}"
    return choice_draft(
        kind, question, phrases(options), right, [anchor, *options], [anchor, *options], rng, about=phrases(options),
        open_share=material.open_share)


def _anchors(
    clues: Sequence[Clue], places: Sequence[int], forward: bool, rng: np.random.Generator
) -> list[list[Clue]]:
    """For each option the clues next to it that make it the right one, and are as like to it as to the others."""
    borders = [-1, *places] if forward else [*places, len(clues)]
    words = [stems(clues[place].text) for place in places]
    anchors = []
    for low, high in pairwise(borders):
        between = rng.permutation(np.arange(low + 1, high))[:_TRIED].tolist()
        anchors.append([clues[place] for place in between if shares_alike(stems(clues[place].text), words)])
    return anchors


def what_follows(material: Material, rng: np.random.Generator) -> Draft | None:
    """Find a moment, and tell which of some moments, each of which directly follows some other, comes after it."""
    pairs = _direct_followers(material)
    for _ in range(_DRAWS):
        chosen = _strangers(pairs, rng)
        if chosen is None:
            return None
        clues = [clue for pair in chosen for clue in pair]
        if not material.before.repeats("what_follows", phrases(clues)):
            break
    else:
        return None
    right = int(rng.integers(_MOST))
    anchor, options = chosen[right][0], [follower for _, follower in chosen]
    return choice_draft(
        "what_follows", f"{one_of(rng, _FOLLOWS)}\n{phrase(anchor)}", phrases(options), right, [anchor, *options],
        [anchor, *options], rng, about=phrases(clues))


def _strangers(
    pairs: Sequence[tuple[Clue, Clue]], rng: np.random.Generator
) -> list[tuple[Clue, Clue]] | None:
    """Four pairs by time, of which none shares a word of its moment with what follows any; None when none were found.

    A moment shares no word with what follows it itself: were it otherwise with the others, it would tell them apart.
    """
    chosen: list[tuple[Clue, Clue]] = []
    for place in rng.permutation(len(pairs))[:_LOOKED_AT].tolist():
        if are_alike([follower for _, follower in (*chosen, pairs[place])]) \
                and all(_share_nothing(pairs[place], other) for other in chosen):
            chosen.append(pairs[place])
        if len(chosen) == _MOST:
            return sorted(chosen, key=lambda pair: pair[0].start_s)
    return None


def _share_nothing(one: tuple[Clue, Clue], other: tuple[Clue, Clue]) -> bool:
    """Whether two pairs have no clue in common, and neither moment a word with what follows the other."""
    words = [[stems(clue.text) for clue in pair] for pair in (one, other)]
    return (not {clue.clue_id for clue in one} & {clue.clue_id for clue in other}
            and not words[0][0] & words[1][1] and not words[1][0] & words[0][1])


def _direct_followers(material: Material) -> list[tuple[Clue, Clue]]:
    """Clues and those in the clip right after them, where the words do not tell that they belong together."""
    return [(earlier, later) for earlier, later in pairwise(material.clues)
            if later.clip_indexes[0] == earlier.clip_indexes[-1] + 1 and not stems(earlier.text) & stems(later.text)]
