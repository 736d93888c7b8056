"""Which moments are looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.frame_policy import FramePolicy


def test_ends_are_the_first_and_the_last_frame() -> None:
    assert FramePolicy(3).times(0, 10, 0.1).tolist() == pytest.approx([0, 4.95, 9.9])


def test_middles_are_those_of_equal_parts() -> None:
    assert FramePolicy(4, placing="middles").times(2, 10, 0.1).tolist() == [3, 5, 7, 9]


def test_a_rate_is_followed_until_there_are_too_many() -> None:
    policy = FramePolicy(5, fps=1)
    assert policy.times(0, 4.5, 0.1).tolist() == [0, 1, 2, 3, 4]
    assert policy.times(0, 9, 0.1).tolist() == pytest.approx([0, 2.225, 4.45, 6.675, 8.9])


def test_it_says_what_it_does() -> None:
    assert str(FramePolicy(16, placing="middles")) == "16 frames, middles"
    assert str(FramePolicy(128, fps=0.5)) == "0.5 a second, beyond that 128 frames, ends"


@given(st.integers(1, 64), st.none() | st.floats(0.1, 30), st.sampled_from(["ends", "middles"]),
       st.floats(0, 1000), st.floats(0, 1000), st.floats(0.01, 1))
def test_times_rise_inside_the_stretch_and_are_not_too_many(
    most: int, fps: float | None, placing: str, start_s: float, length_s: float, frame_s: float
) -> None:
    times = FramePolicy(most, fps, placing).times(start_s, start_s + length_s, frame_s)
    assert 1 <= len(times) <= most
    assert np.all(np.diff(times) >= 0)
    assert times[0] >= start_s
    assert times[-1] <= start_s + max(length_s, frame_s)
