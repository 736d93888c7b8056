"""What a way of looking that drops or averages visual tokens passes on.

F frames, V visual tokens of one, K tokens passed on at a time, C size of a token.
"""
# ruff: noqa: N803, N815 (names end in the shape of the tensor)

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from torch import Tensor


@dataclass(frozen=True)
class Kept:
    """Tokens to show the language model, in order.

    Attributes:
        tokens_KC: the tokens.
        frames: first and last frame, from 0, that each of them stands for.
    """

    tokens_KC: Tensor
    frames: list[tuple[int, int]]


Frames = Iterator[Tensor]
"""Visual tokens [V, C] of one frame after another; the tokens of a frame lie row by row over a square."""

Reduce = Callable[[Frames, int], Iterator[Kept]]
"""Pass on one in so many tokens, as early as it can be said which; the second argument is that factor."""


def groups_of(frames: Frames, size: int) -> Iterator[list[Tensor]]:
    """Neighbouring frames, `size` at a time; the last group may be smaller."""
    while group := list(islice(frames, size)):
        yield group


def whole_frame(tokens_VC: Tensor, first: int, last: int) -> Kept:
    """Tokens that all stand for the same frames."""
    return Kept(tokens_VC, [(first, last)] * len(tokens_VC))


def grid_of(cells: int, side: int) -> tuple[int, int]:
    """Rows and columns, as square as can be, of `cells` equal parts of a square of `side` x `side` tokens.

    Raises:
        ValueError: a square of this side has no so many equal parts.
    """
    fitting = [(rows, cells // rows) for rows in range(1, side + 1)
               if cells % rows == 0 and side % rows == 0 and side % (cells // rows) == 0]
    if not fitting:
        raise ValueError(f"{side} x {side} tokens have no {cells} equal parts")
    return min(fitting, key=lambda grid: (abs(grid[0] - grid[1]), -grid[0]))


def side_of(tokens: int) -> int:
    """Tokens along one side of a frame.

    Raises:
        ValueError: they are no square.
    """
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise ValueError(f"the {tokens} tokens of a frame are no square")
    return side
