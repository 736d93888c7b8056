"""Find a moment, and say in words how the video goes on: the answer is what was newly said of the next clip.

What follows in a scene is most like what came before, so whoever names what is most like the moment would often be
right. So not every moment is asked about: those that share many words with what follows them only as often as moments
share so many with what follows any other moment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.kinds.draft import Draft, Material, evidence_of, one_of, phrase
from pipeline.options import stems
from schemas.records import Caption, Clue

_COMPARED = 64
"""With what follows so many others a moment is compared."""
_MOST_RARE = 0.95
"""Moments that are this much rarer than they should be are all asked about, and set how many of the others are."""
_FOLLOWS_OPEN = (
    "Find the moment described here, and describe what the video shows right after it.",
    "Look for this moment in the video and say what follows it.",
    "Find where the video shows this. How does it go on?",
)


def say_what_follows(material: Material, rng: np.random.Generator) -> Draft | None:
    """Find a moment, and describe the clip after it in words."""
    known = [clue for clue in material.clues
             if clue.clue_id in material.followed and clue.clip_indexes[-1] < material.span.last_clip
             and not material.before.repeats("say_what_follows", [phrase(clue)], each=True)]
    if not known:
        return None
    anchor: Clue = one_of(rng, known)
    return Draft(
        kind="say_what_follows", question=f"{one_of(rng, _FOLLOWS_OPEN)}\n{phrase(anchor)}", is_open=True,
        answer=material.followed[anchor.clue_id], mentioned=(anchor,), about=(phrase(anchor),), about_each=True,
        evidence=(*evidence_of([anchor]), (None, anchor.clip_indexes[-1] + 1)))


def fair_continuations(
    clues: Sequence[Clue], captions: Mapping[int, Caption], rng: np.random.Generator
) -> dict[str, str]:
    """What follows the moments of a video of which it may be asked, by id of the clue.

    Let p be how often a moment shares as many words with what follows another as with what follows itself, and q how
    often any moment of the video shares so many with what follows itself. It is kept with a probability that is
    proportional to p / q: of those kept, the words in common then tell nothing about what belongs together.

    Args:
        clues: the clues of the video that may be asked about.
        captions: what is said of its clips.
        rng: the source of chance.
    """
    pairs = [(clue, said) for clue in clues if (said := _newly_said_after(clue, captions))]
    if len(pairs) < 2:
        return {}
    moments, following = ([stems(text) for text in texts] for texts in zip(
        *((clue.text, said) for clue, said in pairs), strict=True))
    own = [len(moment & said) for moment, said in zip(moments, following, strict=True)]
    shares = Counter(own)
    odds = np.zeros(len(pairs))
    for place, moment in enumerate(moments):
        others = rng.permutation(len(pairs))[:_COMPARED]
        common = [len(moment & following[other]) for other in others.tolist() if following[other] != following[place]]
        if common:
            odds[place] = common.count(own[place]) / len(common) / (shares[own[place]] / len(pairs))
    is_kept = rng.random(len(pairs)) * max(np.quantile(odds, _MOST_RARE), 1e-9) < odds
    return {clue.clue_id: said for (clue, said), keep in zip(pairs, is_kept.tolist(), strict=True) if keep}


def _newly_said_after(clue: Clue, captions: Mapping[int, Caption]) -> str:
    """What is said of the clip after a clue and was not said of the clue's own; empty where there is none."""
    following = captions.get(clue.clip_indexes[-1] + 1)
    if following is None:
        return ""
    said = {sentence for index in clue.clip_indexes for sentence in captions[index].sentences}
    fresh = [sentence for sentence in following.sentences if sentence not in said]
    return " ".join(" ".join(fresh).split())
