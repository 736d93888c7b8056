"""What every kind of question is made from, and what it makes: a draft.

A kind draws one question at a time. The rule that keeps questions from being guessed is the same for all:
the options are chosen first, and only so that each of them could be made the right one by some question;
then one of them is drawn, each as likely as the other, and the question is made for it. Nothing about an
option, neither its words nor its length nor where it lies in the film, then says how likely it is right.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.near_duplicates import NearDuplicates
from pipeline.spans import Span
from schemas.records import Caption, Clip, Clue


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A question before it is checked and given an id.

    `mentioned` are the clues whose words stand in question or options; `evidence` holds (clue id or None,
    clip index). An open question with `options` is asked with its options in the question, unlettered.
    `about` is what decides whether it was asked before: all that was drawn before it was drawn what is right,
    so that leaving out repetitions cannot make one answer rarer than another. With `about_each`, a question
    repeats another when they share any of it.
    """

    kind: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    answer_index: int | None = None
    is_open: bool = False
    mentioned: tuple[Clue, ...] = ()
    evidence: tuple[tuple[str | None, int], ...]
    about: tuple[str, ...]
    about_each: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is known of one span of a video."""

    span: Span
    clues: Sequence[Clue]
    """Clues of the span by time; each ends, with its clips, before the next begins."""
    absent: Sequence[Clue] = ()
    """Clues of the rest of the video that are known not to be seen in the span."""
    clips: Sequence[Clip]
    """The clips of the span, by time."""
    captions: Mapping[int, Caption]
    """What is said of the video's clips, by their index."""
    actions: Sequence[Clue] = ()
    """What people do in the span, as clues of kind 'action' without an id, under the rule of `clues`."""
    counted: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Events of the span by how often they happen, where that is known."""
    followed: Mapping[str, str] = field(default_factory=dict)
    """What is newly said of the clip after a clue, by its id, where it may be asked how the video goes on."""
    before: NearDuplicates = field(default_factory=NearDuplicates)
    """What was asked of the video before."""
    open_share: float = 0.25
    """How likely a question of a kind that may be asked for words is asked for them, and not for a letter."""


Kind = Callable[[Material, np.random.Generator], Draft | None]
"""Draws one question; None when this draw gives none."""


def phrase(clue: Clue) -> str:
    """The clue's words on one line."""
    return " ".join(clue.text.split())


def phrases(clues: Sequence[Clue]) -> list[str]:
    """The words of some clues, each on one line."""
    return [phrase(clue) for clue in clues]


def evidence_of(clues: Sequence[Clue]) -> tuple[tuple[str | None, int], ...]:
    """The clips of some clues, in order of time."""
    ordered = sorted(clues, key=lambda clue: (clue.start_s, clue.end_s))
    return tuple((clue.clue_id or None, index) for clue in ordered for index in clue.clip_indexes)


def one_of(rng: np.random.Generator, values: Sequence) -> object:
    """One of some values, each as likely as the other."""
    return values[int(rng.integers(len(values)))]


def choice_draft(
    kind: str, question: str, options: Sequence[str], right: int, mentioned: Sequence[Clue],
    evidence: Sequence[Clue], rng: np.random.Generator, about: Sequence[str], open_share: float = 0.0,
    about_each: bool = False,
) -> Draft:
    """A draft with its options in random order.

    Args:
        kind: the kind.
        question: the question, without its options.
        options: all options.
        right: which of them is right.
        mentioned: the clues whose words it uses.
        evidence: the clues that the answer rests on.
        rng: places the options.
        about: see `Draft`.
        open_share: how likely it is asked for words and not for a letter.
        about_each: see `Draft`.
    """
    places = rng.permutation(len(options)).tolist()
    return Draft(
        kind=kind, question=question, options=tuple(options[place] for place in places), answer=options[right],
        answer_index=places.index(right), is_open=bool(rng.random() < open_share), mentioned=tuple(mentioned),
        evidence=evidence_of(evidence), about=tuple(about), about_each=about_each)
