"""What came next, what came before, and what follows a moment that is to be found."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.kinds.draft import Draft, Material, choice_draft, evidence_of, one_of, phrase, phrases
from pipeline.options import are_alike, shares_alike, stems, tempting_set
from schemas.records import Clue

_MOST, _FEWEST = 4, 3
_OPEN_SHARE = 0.25
_DRAWS = 12
_LOOKED_AT = 24
"""Most moments that are looked at for one that shares so many words with what follows it."""
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
_FOLLOWS_OPEN = (
    "Find the moment described here, and describe what the video shows right after it.",
    "Look for this moment in the video and say what follows it.",
    "Find where the video shows this. How does it go on?",
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
        open_share=_OPEN_SHARE)


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
    if len(pairs) < _MOST:
        return None
    for _ in range(_DRAWS):
        chosen = [pairs[i] for i in sorted(rng.choice(len(pairs), _MOST, replace=False).tolist())]
        clues = [clue for pair in chosen for clue in pair]
        words = [stems(follower.text) for _, follower in chosen]
        if (len({clue.clue_id for clue in clues}) == 2 * _MOST and are_alike([follower for _, follower in chosen])
                and all(shares_alike(stems(anchor.text), words) for anchor, _ in chosen)
                and not material.before.repeats("what_follows", phrases(clues))):
            break
    else:
        return None
    right = int(rng.integers(_MOST))
    anchor, options = chosen[right][0], [follower for _, follower in chosen]
    return choice_draft(
        "what_follows", f"{one_of(rng, _FOLLOWS)}\n{phrase(anchor)}", phrases(options), right, [anchor, *options],
        [anchor, *options], rng, about=phrases(clues))


def say_what_follows(material: Material, rng: np.random.Generator) -> Draft | None:
    """Find a moment, and describe the clip after it in words; the answer is what was newly said of that clip.

    What follows in a scene is most like what came before. So it is drawn first how many words the two are to share, as
    a moment and any other clip do, and then a moment is looked for that has so many in common with what follows it.
    """
    known = [(clue, said) for clue in material.clues if (said := _newly_said_after(clue, material))
             and not material.before.repeats("say_what_follows", [phrase(clue)], each=True)]
    if not known:
        return None
    wanted = _words_shared_with_any_clip(one_of(rng, known)[0], material, rng)
    for place in rng.permutation(len(known)).tolist()[:_LOOKED_AT]:
        anchor, answer = known[place]
        if len(stems(anchor.text) & stems(answer)) == wanted:
            return Draft(
                kind="say_what_follows", question=f"{one_of(rng, _FOLLOWS_OPEN)}\n{phrase(anchor)}", is_open=True,
                answer=answer, mentioned=(anchor,), about=(phrase(anchor),), about_each=True,
                evidence=(*evidence_of([anchor]), (None, anchor.clip_indexes[-1] + 1)))
    return None


def _words_shared_with_any_clip(clue: Clue, material: Material, rng: np.random.Generator) -> int:
    """How many words a moment shares with what is said of a clip that is not its own, drawn from the whole video."""
    others = [index for index in sorted(material.captions) if index not in clue.clip_indexes]
    return len(stems(clue.text) & stems(material.captions[one_of(rng, others)].caption)) if others else 0


def _newly_said_after(clue: Clue, material: Material) -> str:
    """What is said of the clip after a clue and was not said of the clue's own; empty where there is none."""
    following = clue.clip_indexes[-1] + 1
    if following > material.span.last_clip or following not in material.captions:
        return ""
    said = {sentence for index in clue.clip_indexes for sentence in material.captions[index].sentences}
    fresh = [sentence for sentence in material.captions[following].sentences if sentence not in said]
    return " ".join(" ".join(fresh).split())


def _direct_followers(material: Material) -> list[tuple[Clue, Clue]]:
    """Clues and those in the clip right after them, where the words do not tell that they belong together."""
    return [(earlier, later) for earlier, later in pairwise(material.clues)
            if later.clip_indexes[0] == earlier.clip_indexes[-1] + 1 and not stems(earlier.text) & stems(later.text)]
