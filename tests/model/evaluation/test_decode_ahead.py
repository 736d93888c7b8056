"""Frames come in order, from one viewing into the next, and a fault comes where it belongs."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from model.evaluation.decode_ahead import DecodeAhead
from model.evaluation.frame_policy import FramePolicy
from pipeline.decode import UnreadableVideoError
from schemas.reasons import Reason

POLICY = FramePolicy(4)


@dataclass(frozen=True)
class Counted:
    """Frames that hold the viewing's and their own number; one may be damaged."""

    name: int
    frames: int
    damaged: int | None = None
    is_image = False
    video = "v"

    def files(self) -> tuple[()]:
        return ()

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[float, np.ndarray]]:
        for number in range(self.frames):
            if number == self.damaged:
                raise UnreadableVideoError(Reason.UNREADABLE, f"frame {number} of {self.name}")
            yield float(number), np.array([[[self.name, number, 0]]], np.uint8)


def prepare(picture: np.ndarray, is_image: bool) -> Tensor:
    return torch.from_numpy(picture.copy())[None]


def numbers(frames: Iterator[tuple[float | None, Tensor]]) -> list[tuple[int, int]]:
    return [(int(pixels[0, 0, 0]), int(pixels[0, 0, 1])) for _, pixels in frames]


def test_every_frame_comes_once_and_in_order() -> None:
    with DecodeAhead([Counted(1, 5), Counted(2, 3)], POLICY, prepare, most_waiting=2) as ahead:
        assert numbers(ahead.frames(0)) == [(1, number) for number in range(5)]
        assert numbers(ahead.frames(1)) == [(2, number) for number in range(3)]


def test_a_viewing_left_in_the_middle_is_skipped() -> None:
    with DecodeAhead([Counted(1, 50), Counted(2, 3)], POLICY, prepare, most_waiting=2) as ahead:
        next(ahead.frames(0))
        assert numbers(ahead.frames(1)) == [(2, 0), (2, 1), (2, 2)]


def test_a_damaged_viewing_ends_behind_its_good_frames_and_the_next_one_comes() -> None:
    with DecodeAhead([Counted(1, 5, damaged=2), Counted(2, 2)], POLICY, prepare) as ahead:
        frames = ahead.frames(0)
        assert [int(next(frames)[1][0, 0, 1]) for _ in range(2)] == [0, 1]
        with pytest.raises(UnreadableVideoError, match="frame 2 of 1"):
            next(frames)
        assert numbers(ahead.frames(1)) == [(2, 0), (2, 1)]


def test_a_fault_in_preparing_is_raised_where_frames_are_taken() -> None:
    def broken(picture: np.ndarray, is_image: bool) -> Tensor:
        raise ZeroDivisionError

    with DecodeAhead([Counted(1, 5)], POLICY, broken) as ahead, pytest.raises(ZeroDivisionError):
        next(ahead.frames(0))


def test_the_thread_ends_with_the_block_though_much_waits() -> None:
    with DecodeAhead([Counted(1, 10_000)], POLICY, prepare, most_waiting=2) as ahead:
        next(ahead.frames(0))
    assert "decode-ahead" not in {thread.name for thread in threading.enumerate()}


def test_the_next_viewing_is_decoded_while_the_first_is_looked_at() -> None:
    begun = threading.Event()

    @dataclass(frozen=True)
    class Second(Counted):
        def pictures(self, policy: FramePolicy) -> Iterator[tuple[float, np.ndarray]]:
            begun.set()
            yield from super().pictures(policy)

    with DecodeAhead([Counted(1, 2), Second(2, 2)], POLICY, prepare) as ahead:
        frames = ahead.frames(0)
        next(frames)
        assert begun.wait(timeout=30)
        assert numbers(frames) == [(1, 1)]
