"""What changed between two moments: the light and the pace that were measured, or the place that was named."""

from collections.abc import Sequence

import numpy as np

from pipeline.kinds.draft import Draft, Material, choice_draft, one_of, phrase
from pipeline.options import within_clips
from pipeline.sentences import telling_words
from schemas.records import Clip, Clue

BRIGHTER_BY = 0.12
"""Mean luma, 0 to 1, by which two clips must differ."""
FASTER_BY = 1.5
"""How many times the speed of one clip the other must have, and …"""
_FASTER_AT_LEAST = 0.03
"""… by how many picture widths per second it must be faster."""
_PAIRS = 48
_DRAWS = 8
_LOOKS = (
    "Compare the part of the video around the second moment with that around the first. What is different?",
    "Between these two moments of the video the picture changes. How does it look around the second?",
    "What has changed in the picture from the first of these moments to the second?",
)
_SETTINGS = (
    "Between these two moments of the video the place changes. From where to where?",
    "Where does the first of these moments take place, and where the second?",
    "How does the place change from the first of these moments to the second?",
)
_SAYS_LOOK = frozenset(
    "bright brighter brightest brightens dark darker darkest darkens darkness light lights lit dim black white night "
    "day sun sunny sunlight shadow fast faster quick quickly slow slower slowly still stands standing move moves "
    "moving motion runs running rushes".split())
"""A clue with one of these words would give away how its clip looks."""


def look_changed(material: Material, rng: np.random.Generator) -> Draft | None:
    """Brighter or darker, faster or slower: of two moments in either order, so that all four are as likely."""
    clips = {clip.clip_index: clip for clip in material.clips}
    clues = [clue for clue in within_clips(material.clues, clips) if not telling_words(clue.text) & _SAYS_LOOK]
    if len(clues) < 3:
        return None
    pairs: dict[bool, tuple[Clue, Clue]] = {}
    for _ in range(_PAIRS):
        one, other = (clues[i] for i in rng.choice(len(clues), 2, replace=False).tolist())
        dark, bright = sorted((one, other), key=lambda clue: clips[clue.clip_indexes[0]].measures.brightness)
        faster = _is_faster(clips[dark.clip_indexes[0]], clips[bright.clip_indexes[0]])
        if faster is not None and not material.before.repeats("look_changed", [_pair(dark, bright)], each=True):
            pairs.setdefault(faster, (dark, bright))
        if len(pairs) == 2:
            break
    else:
        return None
    grows_brighter, grows_faster = bool(rng.integers(2)), bool(rng.integers(2))
    # From bright to dark the pace changes the other way round.
    dark, bright = pairs[grows_faster == grows_brighter]
    asked = (dark, bright) if grows_brighter else (bright, dark)
    options = [look_text(brighter, faster) for brighter in (True, False) for faster in (True, False)]
    right = options.index(look_text(grows_brighter, grows_faster))
    question = f"{one_of(rng, _LOOKS)}\n(1) {phrase(asked[0])}\n(2) {phrase(asked[1])}"
    return choice_draft("look_changed", question, options, right, asked, asked, rng,
                        about=[_pair(*pair) for pair in pairs.values()], about_each=True)


def _pair(one: Clue, other: Clue) -> str:
    return " | ".join(sorted((phrase(one), phrase(other))))


def look_text(is_brighter: bool, is_faster: bool) -> str:
    """The option that says how the look changed."""
    return f"it is {'brighter' if is_brighter else 'darker'}, and things move {'faster' if is_faster else 'slower'}"


def _is_faster(dark: Clip, bright: Clip) -> bool | None:
    """Whether the brighter clip moves faster; None when the two do not clearly differ."""
    if bright.measures.brightness - dark.measures.brightness < BRIGHTER_BY:
        return None
    slow, fast = sorted((dark.measures.motion, bright.measures.motion))
    if fast < FASTER_BY * slow or fast - slow < _FASTER_AT_LEAST:
        return None
    return bright.measures.motion == fast


def place_changed(material: Material, rng: np.random.Generator) -> Draft | None:
    """From which place to which: two places of earlier moments, two of later ones, any pair as likely."""
    clips = {clip.clip_index: clip for clip in material.clips}
    clues = [clue for clue in within_clips(material.clues, clips) if _setting(clue, material)]
    if len(clues) < 4:
        return None
    for _ in range(_DRAWS):
        chosen = [clues[i] for i in sorted(rng.choice(len(clues), 4, replace=False).tolist())]
        settings = [_setting(clue, material) for clue in chosen]
        words = [telling_words(setting) for setting in settings]
        said = frozenset().union(*(telling_words(clue.text) for clue in chosen))
        if material.before.repeats("place_changed", _pairs(chosen), each=True):
            continue
        # Places that share a word may be one place; a place named in a clue is given away.
        if len(frozenset().union(*words)) == sum(map(len, words)) and not said & frozenset().union(*words):
            break
    else:
        return None
    pairs = [(start, end) for start in (0, 1) for end in (2, 3)]
    right = int(rng.integers(len(pairs)))
    asked = [chosen[place] for place in pairs[right]]
    options = [place_text(settings[start], settings[end]) for start, end in pairs]
    question = f"{one_of(rng, _SETTINGS)}\n(1) {phrase(asked[0])}\n(2) {phrase(asked[1])}"
    return choice_draft("place_changed", question, options, right, asked, asked, rng,
                        about=_pairs(chosen), about_each=True)


def _pairs(chosen: Sequence[Clue]) -> list[str]:
    """Each of the first two with each of the last two."""
    return [_pair(chosen[start], chosen[end]) for start in (0, 1) for end in (2, 3)]


def place_text(start: str, end: str) -> str:
    """The option that says how the place changed."""
    return f"from {start} to {end}"


def _setting(clue: Clue, material: Material) -> str:
    """Where a clue takes place, as the captioner said; empty if it did not say."""
    caption = material.captions.get(clue.clip_indexes[0])
    return " ".join((caption.setting or "").split()).rstrip(".") if caption else ""
