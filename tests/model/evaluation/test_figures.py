"""Figures against sums by hand, and against the interval of one group."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.accuracy import estimate
from model.evaluation.figures import Item, figures_of, mean_of_groups

ITEMS = [
    Item("u", 1, {"kind": "x", "half": "1"}), Item("u", 0, {"kind": "x", "half": "1"}),
    Item("v", 1, {"kind": "x", "half": "2"}), Item("w", 0, {"kind": "y", "half": "2"})]


def test_a_mean_over_kinds_is_not_the_mean_over_questions() -> None:
    pooled, *_ = figures_of(ITEMS)
    over_kinds, *_ = figures_of(ITEMS, mean_over="kind")
    assert pooled.estimate.mean == 0.5
    assert over_kinds.estimate.mean == pytest.approx((2 / 3 + 0) / 2)


def test_groups_come_in_alphabetical_order_with_their_published_figures() -> None:
    figures = figures_of(ITEMS, ("kind", "half"), published={"kind: y": 0.3})
    assert [(figure.name, figure.published) for figure in figures] == [
        ("overall", None), ("kind: x", None), ("kind: y", 0.3), ("half: 1", None), ("half: 2", None)]
    assert [figure.estimate.mean for figure in figures[1:]] == pytest.approx([2 / 3, 0, 0.5, 0.5])


def test_an_interval_by_hand() -> None:
    """x has mean 2/3 over 3, y mean 0 over 1; a question of x weighs 1/6, so u errs by (1/3 - 2/3) / 6, v by
    (1/3) / 6, w by 0: variance 3/2 * 2 * (1/18)^2.
    """
    found = mean_of_groups(ITEMS, [item.attributes["kind"] for item in ITEMS])
    assert found.half_width == pytest.approx(4.30265 * math.sqrt(3 / 2 * 2) / 18)
    assert (found.questions, found.videos) == (4, 3)


def test_one_video_says_nothing_of_others() -> None:
    assert mean_of_groups(ITEMS[:2], ["", ""]).half_width == math.inf


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no question"):
        mean_of_groups([], [])


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1)), min_size=2))
def test_one_group_is_the_plain_estimate(scored: list[tuple[str, float]]) -> None:
    items = [Item(video, score, {}) for video, score in scored]
    plain = estimate({(video, str(number)): score for number, (video, score) in enumerate(scored)})
    found = mean_of_groups(items, [""] * len(items))
    assert found.mean == pytest.approx(plain.mean)
    assert found.half_width == pytest.approx(plain.half_width, abs=1e-9)
    assert found.videos == plain.videos


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_repeating_the_questions_of_a_kind_leaves_the_mean_over_kinds(one: list[float], other: list[float]) -> None:
    def overall(times: int) -> float:
        items = [Item("u", score, {"kind": "x"}) for score in one * times]
        items += [Item("v", score, {"kind": "y"}) for score in other]
        return figures_of(items, mean_over="kind")[0].estimate.mean

    assert overall(3) == pytest.approx(overall(1))
