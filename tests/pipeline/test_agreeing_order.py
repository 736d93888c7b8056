"""Orders compared, joined and cut into chapters, against slow and plain ways of doing the same."""

import random
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agreeing_order import chance_spread, kendall_tau, longest_agreeing
from pipeline.chapters import plan_chapters
from pipeline.join_orders import join_orders


@given(st.lists(st.integers(0, 6), max_size=9))
def test_the_longest_agreeing_part_is_one_of_the_longest_there_are(values: list[int]) -> None:
    kept = longest_agreeing(values)
    assert all(first < second and values[first] <= values[second] for first, second in pairwise(kept))
    longest = max(
        size for size in range(len(values) + 1) for chosen in combinations(values, size)
        if all(first <= second for first, second in pairwise(chosen)))
    assert len(kept) == longest


def test_a_hundred_thousand_take_no_time() -> None:
    values = random.Random(0).sample(range(100_000), 100_000)
    assert 500 < len(longest_agreeing(values)) < 800  # 2 √n by chance


@given(st.permutations(range(7)))
def test_kendalls_tau_counts_pairs(order: list[int]) -> None:
    agreeing = sum(first < second for first, second in combinations(order, 2))
    assert kendall_tau(order) == pytest.approx((agreeing - (21 - agreeing)) / 21)


def test_kendalls_tau_at_its_ends_and_by_chance() -> None:
    assert kendall_tau(range(9)) == 1
    assert kendall_tau(range(9)[::-1]) == -1
    dice = random.Random(1)
    taus = [kendall_tau(dice.sample(range(12), 12)) for _ in range(4000)]
    assert sum(taus) / len(taus) == pytest.approx(0, abs=0.015)
    assert (sum(tau * tau for tau in taus) / len(taus)) ** 0.5 == pytest.approx(chance_spread(12), rel=0.05)
    with pytest.raises(ValueError, match="two different"):
        kendall_tau([3, 3])


@given(st.lists(st.integers(1, 30), min_size=1, max_size=200), st.integers(30, 200), st.integers(2, 40))
def test_chapters_cover_everything_fit_and_overlap(sizes: list[int], room: int, most: int) -> None:
    chapters = plan_chapters(sizes, room, most)
    assert chapters[0].start == 0
    assert chapters[-1].stop == len(sizes)
    for chapter in chapters:
        assert 1 <= len(chapter) <= most
        assert sum(sizes[place] for place in chapter) <= room
    for before, after in pairwise(chapters):
        assert before.start < after.start <= before.stop < after.stop


def test_a_clip_larger_than_a_chapter_is_refused() -> None:
    with pytest.raises(ValueError, match="clip 1 takes 9"):
        plan_chapters([1, 9], 8, 4)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=6), st.data())
def test_chapters_of_one_order_join_to_that_order(lengths: list[int], data: st.DataObject) -> None:
    chapters, first = [], 0
    for length in lengths:
        chapters.append(list(range(first, first + length)))
        first += length - data.draw(st.integers(1, length - 1))
    assert join_orders(chapters) == list(range(chapters[-1][-1] + 1)) or chapters[-1][-1] < max(map(max, chapters))


@given(st.lists(st.lists(st.integers(0, 12), unique=True, max_size=8), max_size=5))
def test_joining_loses_and_doubles_nothing(orders: list[list[int]]) -> None:
    joined = join_orders(orders)
    assert sorted(joined) == sorted({item for order in orders for item in order})
    if orders:
        assert [item for item in joined if item in orders[0]] == orders[0]
