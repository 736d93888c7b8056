"""Options that tempt: from the same span, of the same kind, alike in length, near each other as often as far apart."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from pipeline.sentences import telling_words
from schemas.records import Clip, Clue

_LENGTH_RATIO = 2.0
"""The longest of the options has at most so many times the letters of the shortest."""
_DRAWS = 8
_STEM = 5
_WORDS_PER_SHARED = 10
"""One shared word more or less is let pass for so many words, and one for fewer."""
_NEAR = 3
"""Near choices lie within a window of so many times as many clues as are chosen."""


def tempting_set(
    clues: Sequence[Clue], size: int, rng: np.random.Generator, gap: int = 0, before: int = 0, after: int = 0,
    is_asked: Callable[[Sequence[Clue]], bool] = lambda chosen: False,
) -> list[int] | None:
    """Positions of some clues that tempt as each other's wrong options, rising; None when none were found.

    Half of the choices are near, from a short run of neighbouring clues; half from anywhere in the span.
    Which of them will be right plays no part.

    Args:
        clues: clues by time.
        size: how many to choose.
        rng: the source of chance.
        gap: at least so many clues lie between two that are chosen.
        before: at least so many clues lie before the first.
        after: at least so many clues lie after the last.
        is_asked: whether nearly the same clues were chosen before.
    """
    needed = size + gap * (size - 1) + before + after
    if len(clues) < needed:
        return None
    for _ in range(_DRAWS):
        first, count = 0, len(clues)
        if rng.random() < 0.5:
            count = min(len(clues), max(needed, _NEAR * size))
            first = int(rng.integers(len(clues) - count + 1))
        free = count - gap * (size - 1) - before - after
        places = np.sort(rng.choice(free, size, replace=False)) + gap * np.arange(size) + before + first
        chosen = [clues[place] for place in places]
        if are_alike(chosen) and not is_asked(chosen):
            return places.tolist()
    return None


def are_alike(clues: Sequence[Clue]) -> bool:
    """Whether clues are of one kind and of like length."""
    lengths = [len(clue.text) for clue in clues]
    return len({clue.kind for clue in clues}) == 1 and max(lengths) <= _LENGTH_RATIO * min(lengths)


def stems(text: str) -> frozenset[str]:
    """What is left of the telling words of a text without their endings: their first letters."""
    return frozenset(word[:_STEM] for word in telling_words(text))


def shares_alike(words: frozenset[str], options: Sequence[frozenset[str]]) -> bool:
    """Whether a text shares about as many words with each option: the likest must not be the better guess.

    Args:
        words: stems of the text.
        options: stems of each option.
    """
    shared = [len(words & option) for option in options]
    return max(shared) - min(shared) <= max(1, len(words) // _WORDS_PER_SHARED)


def tempting_orders(size: int, count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Different orders of `size` things, few swaps from each other or none alike; never 0, 1, 2, …

    The order that will be right is to be drawn from them: an order that all others are near to is right
    no more often than the others.

    Args:
        size: number of things, at least 3.
        count: number of orders, fewer only when there are no more.
        rng: the source of chance.
    """
    listed = tuple(range(size))
    orders: list[tuple[int, ...]] = []
    for swaps in (None, 1, 2, None, 1, 2, *([None] * 20)):
        base = list(orders[0]) if orders else list(listed)
        if swaps is None:
            order = rng.permutation(size).tolist()
        else:
            order = base
            for at in rng.integers(0, size - 1, swaps).tolist():
                order[at], order[at + 1] = order[at + 1], order[at]
        if tuple(order) != listed and tuple(order) not in orders:
            orders.append(tuple(order))
        if len(orders) == count:
            break
    return orders


def apart(clues: Sequence[Clue]) -> list[Clue]:
    """The most clues of which each ends, with its clips, before the next begins (earliest end first)."""
    chosen: list[Clue] = []
    for clue in sorted(clues, key=lambda clue: (clue.clip_indexes[-1], clue.end_s, clue.clue_id)):
        if not chosen or is_after(clue, chosen[-1]):
            chosen.append(clue)
    return chosen


def is_after(later: Clue, earlier: Clue) -> bool:
    """Whether a clue begins when another has ended, and shares no clip with it."""
    return later.clip_indexes[0] > earlier.clip_indexes[-1] and later.start_s >= earlier.end_s


def are_apart(clues: Sequence[Clue]) -> bool:
    """Whether clues follow each other without touching the same clip."""
    return all(is_after(later, earlier) for earlier, later in pairwise(clues))


def within_clips(clues: Iterable[Clue], clips: Mapping[int, Clip]) -> list[Clue]:
    """Clues that lie wholly in one clip (an event may begin before its clip, or outlast it)."""
    return [clue for clue in clues if len(clue.clip_indexes) == 1 and clue.clip_indexes[0] in clips
            and clips[clue.clip_indexes[0]].start_s <= clue.start_s
            and clue.end_s <= clips[clue.clip_indexes[0]].end_s]
