"""The rule of uniform frames against a count of every frame at every budget."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.uniform_frames import smallest_budget, uniform_indexes

Stretches = list[tuple[int, int]]


@st.composite
def spans_with_stretches(draw: st.DrawFn) -> tuple[int, Stretches]:
    """A number of stored frames and some stretches of them, few or many, short or long."""
    available = draw(st.integers(1, 120))
    places = st.integers(0, available)
    pairs = draw(st.lists(st.tuples(places, places), min_size=1, max_size=5))
    return available, [(min(pair), max(pair)) for pair in pairs]


def _keeps(available: int, budget: int, stretches: Stretches, keep: int) -> bool:
    shown = uniform_indexes(available, budget).tolist()
    return all(sum(first <= index < last for index in shown) >= keep for first, last in stretches)


@settings(deadline=None, max_examples=300)
@given(spans_with_stretches(), st.integers(1, 3))
def test_the_smallest_budget_is_right_and_smallest(case: tuple[int, Stretches], keep: int) -> None:
    available, stretches = case
    answer = smallest_budget(available, stretches, keep)
    if min(last - first for first, last in stretches) < keep:
        assert answer is None
        return
    assert answer is not None
    # Above `available` every frame is shown, so this is every budget there is.
    assert all(_keeps(available, budget, stretches, keep) for budget in range(answer, available + 2))
    assert answer == 1 or not _keeps(available, answer - 1, stretches, keep)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 5000), st.integers(1, 5000))
def test_frames_lie_in_the_middle_of_equal_parts(available: int, budget: int) -> None:
    shown = uniform_indexes(available, budget)
    count = min(available, budget)
    assert len(shown) == count
    assert (np.diff(shown) > 0).all()
    for i in (0, count // 2, count - 1):
        middle = (i + Fraction(1, 2)) * Fraction(available, count)
        assert shown[i] <= middle < shown[i] + 1  # frame k takes up [k, k + 1)


def test_a_small_case_worked_out_by_hand() -> None:
    """Of 10 frames: a budget of 3 shows 1, 5 and 8; of 4: 1, 3, 6 and 8; of 5: 1, 3, 5, 7 and 9."""
    assert uniform_indexes(10, 3).tolist() == [1, 5, 8]
    assert uniform_indexes(10, 4).tolist() == [1, 3, 6, 8]
    assert smallest_budget(10, [(0, 5)]) == 4
    assert smallest_budget(10, [(0, 10)]) == 2
    assert smallest_budget(10, [(5, 10)]) == 3
    assert smallest_budget(10, [(4, 6)]) == 10
    assert smallest_budget(10, [(4, 5)]) is None


@pytest.mark.parametrize(("available", "budget"), [(0, 1), (1, 0), (-3, 2)])
def test_no_frames_or_no_budget_is_refused(available: int, budget: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        uniform_indexes(available, budget)
