"""What is put into a video, where, and what is asked about it: VNBench's nine kinds (arXiv 2406.09367), from a seed.

    ret_edit1    one secret word, written over the picture: which?
    ret_insert1  one picture of a shape, inserted: which?
    ret_insert2  one picture of a large word, inserted: which?
    ord_edit1    four secret words: in which order?
    ord_insert1  four pictures of shapes: in which order?
    ord_insert2  four pictures of one shape in four colours: in which order?
    cnt_edit1    some secret words: how many?
    cnt_edit2    in some places some shapes of one kind, drawn over the picture: how many in all?
    cnt_insert1  some pictures of one shape: how many?

The kinds and the forms of the questions are VNBench's; the needles are drawn, where VNBench inserts photographs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random

from pipeline.sample_videos import COLOURS, SHAPES, WORDS

TRIES = 4
LETTERS = "ABCD"
IN_ORDER, MOST_COUNTED, MOST_TOGETHER = 4, 5, 4
MARGIN_S = 1.0
"""Between needles, and at both ends of the video."""

NAMES = """Alice Bob Carol Dave Emma Frank Grace Henry Irene Jack Karen Louis Mary Nora Oscar Paul Quinn Rosa Sam Tina
Ursula Victor Wendy Yusuf""".split()
_PLAIN = [colour for colour in COLOURS if colour not in ("white", "black")]


@dataclass(frozen=True, slots=True)
class Shapes:
    """So many of one shape in one colour: keys of SHAPES and COLOURS."""

    shape: str
    colour: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class LargeWord:
    """A word that fills a picture."""

    letters: str


@dataclass(frozen=True, slots=True)
class Caption:
    """A line at the lower edge."""

    text: str


@dataclass(frozen=True, slots=True)
class PlacedNeedle:
    """A needle.

    Attributes:
        start_s: in seconds of the video before anything is inserted.
        lasts_s: seconds.
        inserted: the video stops meanwhile; else the needle lies over it.
        shows: what is seen.
    """

    start_s: float
    lasts_s: float
    inserted: bool
    shows: Shapes | LargeWord | Caption


@dataclass(frozen=True, slots=True)
class NeedlePlan:
    """What a video gets and what is asked."""

    kind: str
    needles: tuple[PlacedNeedle, ...]
    question: str
    right: str
    wrong: tuple[str, str, str]

    def needle_times(self) -> list[float]:
        """When each needle comes, in seconds of the finished video."""
        times, later = [], 0.0
        for needle in self.needles:
            times.append(round(needle.start_s + later, 3))
            later += needle.lasts_s if needle.inserted else 0.0
        return times

    @property
    def inserted_s(self) -> float:
        """Seconds by which the video becomes longer."""
        return sum(needle.lasts_s for needle in self.needles if needle.inserted)


class TooShortError(Exception):
    """The video has no room for the needles; the message says how long it would have to be."""


@dataclass(frozen=True, slots=True)
class _Content:
    """A plan without places."""

    shows: Sequence[Shapes | LargeWord | Caption]
    inserted: bool
    question: str
    right: str
    wrong: Sequence[str]


def plan_needles(kind: str, duration_s: float, lasts_s: float, rng: Random) -> NeedlePlan:
    """Choose what is shown, where, and what else could be answered.

    Args:
        kind: one of `KINDS`.
        duration_s: of the video.
        lasts_s: seconds that each needle is seen.
        rng: decides everything.

    Raises:
        TooShortError: the needles would not lie apart.
    """
    content = KINDS[kind](rng)
    starts = _apart(len(content.shows), duration_s, lasts_s, rng)
    needles = tuple(
        PlacedNeedle(start_s, lasts_s, content.inserted, shows)
        for start_s, shows in zip(starts, content.shows, strict=True))
    return NeedlePlan(kind, needles, content.question, content.right, tuple(content.wrong))


def tries(plan: NeedlePlan, rng: Random) -> list[list[str]]:
    """The options of four tries: the right one stands in another place each time."""
    found = []
    for place in rng.sample(range(TRIES), TRIES):
        options = rng.sample(plan.wrong, len(plan.wrong))
        options.insert(place, plan.right)
        found.append(options)
    return found


def _apart(count: int, duration_s: float, lasts_s: float, rng: Random) -> list[float]:
    """Starts in seconds, one in each of `count` equal parts, a margin apart."""
    part_s = (duration_s - 2 * MARGIN_S) / count
    room_s = part_s - lasts_s - MARGIN_S
    if room_s < 0:
        needed = math.ceil(count * (lasts_s + MARGIN_S) + 2 * MARGIN_S)
        raise TooShortError(f"{count} needles need a video of {needed} seconds, this one has {duration_s:.1f}")
    return [round(MARGIN_S + number * part_s + rng.random() * room_s, 3) for number in range(count)]


def _ret_edit1(rng: Random) -> _Content:
    right, *wrong = rng.sample(NAMES, 4)
    return _Content([_secret(right)], False, "What is the secret word?", right, wrong)


def _ret_insert1(rng: Random) -> _Content:
    right, *wrong = rng.sample(sorted(SHAPES), 4)
    shows = [Shapes(right, rng.choice(_PLAIN))]
    return _Content(shows, True, "Which shape appears in a picture of its own in the video?", right, wrong)


def _ret_insert2(rng: Random) -> _Content:
    right, *wrong = (word.lower() for word in rng.sample(WORDS, 4))
    return _Content([LargeWord(right.upper())], True, "Which large word appears in the video?", right, wrong)


def _ord_edit1(rng: Random) -> _Content:
    names = rng.sample(NAMES, IN_ORDER)
    question = "What is the order of the secret words that appeared in the video?"
    return _in_order(names, [_secret(name) for name in names], False, question, rng)


def _ord_insert1(rng: Random) -> _Content:
    names = rng.sample(sorted(SHAPES), IN_ORDER)
    shows = [Shapes(name, rng.choice(_PLAIN)) for name in names]
    return _in_order(names, shows, True, "What is the order of shapes appearing in pictures of their own?", rng)


def _ord_insert2(rng: Random) -> _Content:
    shape, colours = rng.choice(sorted(SHAPES)), rng.sample(_PLAIN, IN_ORDER)
    question = f"A {shape} appears in pictures of its own. What is the order of its colours?"
    return _in_order(colours, [Shapes(shape, colour) for colour in colours], True, question, rng)


def _cnt_edit1(rng: Random) -> _Content:
    names = rng.sample(NAMES, rng.randint(1, MOST_COUNTED))
    shows = [_secret(name) for name in names]
    return _counted(len(names), shows, False, "How many secret words appeared in the video?", rng)


def _cnt_edit2(rng: Random) -> _Content:
    shape, sections = rng.choice(sorted(SHAPES)), rng.randint(2, IN_ORDER)
    counts = [rng.randint(1, MOST_TOGETHER) for _ in range(sections)]
    shows = [Shapes(shape, rng.choice(_PLAIN), count) for count in counts]
    question = (f"Shapes of the kind '{shape}' were drawn over {sections} small sections of the video. "
                "How many of them appeared in the video in total?")
    return _counted(sum(counts), shows, False, question, rng)


def _cnt_insert1(rng: Random) -> _Content:
    shape, count = rng.choice(sorted(SHAPES)), rng.randint(1, MOST_COUNTED)
    shows = [Shapes(shape, rng.choice(_PLAIN)) for _ in range(count)]
    question = f"In how many pictures of its own does the shape '{shape}' appear in the video?"
    return _counted(count, shows, True, question, rng)


def _secret(name: str) -> Caption:
    return Caption(f"The secret word is {name}")


def _in_order(
    names: Sequence[str], shows: Sequence[Shapes | Caption], inserted: bool, question: str, rng: Random
) -> _Content:
    right, *other = [", ".join(order) for order in permutations(names)]
    return _Content(shows, inserted, question, right, rng.sample(other, 3))


def _counted(
    number: int, shows: Sequence[Shapes | Caption], inserted: bool, question: str, rng: Random
) -> _Content:
    near = [other for other in range(max(1, number - 4), number + 5) if other != number]
    return _Content(shows, inserted, question, str(number), [str(other) for other in rng.sample(near, 3)])


KINDS: dict[str, Callable[[Random], _Content]] = {
    "ret_edit1": _ret_edit1, "ret_insert1": _ret_insert1, "ret_insert2": _ret_insert2,
    "ord_edit1": _ord_edit1, "ord_insert1": _ord_insert1, "ord_insert2": _ord_insert2,
    "cnt_edit1": _cnt_edit1, "cnt_edit2": _cnt_edit2, "cnt_insert1": _cnt_insert1,
}
"""VNBench's types."""
