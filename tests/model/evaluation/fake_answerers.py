"""Answerers that do not look: one always says the same, one guesses, one knows the answers."""

from collections.abc import Callable, Iterator
from random import Random

import torch
from torch import Tensor

from model.evaluation.question import Question, Reply
from model.evaluation.viewing import Picture


class FakeAnswerer:
    """Says what a function says.

    Args:
        say: question to words, or to a whole reply.
    """

    method, ratio = "fake", "1"

    def __init__(self, say: Callable[[Question], str | Reply]) -> None:
        self.settings = {"method": self.method, "ratio": self.ratio}
        self.looks: list[tuple[int, str | None]] = []
        self._say = say

    def prepare(self, picture: Picture, is_image: bool) -> Tensor:
        return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]

    def look(self, frames: Iterator[tuple[float | None, Tensor]], system: str | None) -> "FakeSeen":
        times_s = [time_s for time_s, _ in frames]
        self.looks.append((len(times_s), system))
        return FakeSeen(times_s, self._say)


class FakeSeen:
    positions = 3

    def __init__(self, times_s: list[float | None], say: Callable[[Question], str | Reply]) -> None:
        self.times_s, self._say = times_s, say

    def reply(self, question: Question) -> Reply:
        said = self._say(question)
        return said if isinstance(said, Reply) else Reply(said)


def always_a() -> FakeAnswerer:
    return FakeAnswerer(lambda question: "A")


def cheat() -> FakeAnswerer:
    return FakeAnswerer(lambda question: question.answer)


def contrarian() -> FakeAnswerer:
    """Always another answer than the right one."""
    def other(question: Question) -> str:
        if question.format == "yes_no":
            return {"yes": "No", "no": "Yes"}[question.answer]
        return "B" if question.answer == "A" else "A"

    return FakeAnswerer(other)


def at_random(seed: int) -> FakeAnswerer:
    rng = Random(seed)
    return FakeAnswerer(lambda question: rng.choice(
        ["Yes", "No"] if question.format == "yes_no" else "ABCDEFGH"[:len(question.options)]))
