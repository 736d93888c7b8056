"""The blind check: can a question be answered without the video?

Whoever guesses, the built-in guesser or a served text-only model, is one object with one method; what
counts as guessed is decided here, once, for both.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

ASKED = 8
"""Times a question is put to the guesser, the options in another order each time."""
BY_CHANCE = 0.01
"""A question counts as guessed when chance alone would give so many right answers more rarely than this."""


@dataclass(frozen=True, slots=True)
class Guesses:
    """How often a question was put without the video, and how often the answer was right."""

    right: int
    asked: int


@dataclass(frozen=True, slots=True)
class BlindQuestion:
    """A multiple-choice question as it is put without the video."""

    kind: str
    question: str
    """Without its options."""
    options: Sequence[str]
    """Without their letters."""
    answer_index: int
    seed: int
    """Decides the orders of the options (see `shuffled_options`)."""


class BlindChecker(Protocol):
    """Answers questions without seeing anything."""

    name: str

    def depends_on(self) -> Any:
        """What its answers depend on, as JSON values: part of the key of a video's questions."""

    def guess(self, questions: Sequence[BlindQuestion]) -> list[Guesses]:
        """Put each question, with its options in several orders; what came of each."""


def beats_chance(guesses: Guesses, options: int) -> bool:
    """Whether so many right answers of so many are too many for chance (one-sided binomial test).

    Args:
        guesses: what the guesser made of the question.
        options: number of options; chance is one of them.
    """
    chance = 1 / options
    tail = sum(
        math.comb(guesses.asked, hits) * chance**hits * (1 - chance) ** (guesses.asked - hits)
        for hits in range(guesses.right, guesses.asked + 1))
    return guesses.asked > 0 and tail < BY_CHANCE


def shuffled_options(count: int, seed: int, asked: int = ASKED) -> Iterator[list[int]]:
    """Orders in which to put `count` options, one for each time of asking."""
    rng = np.random.default_rng(seed)
    for _ in range(asked):
        yield rng.permutation(count).tolist()
