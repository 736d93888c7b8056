"""Intervals around accuracies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.accuracy import difference, estimate, over_seeds

SCORES = st.dictionaries(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("0123456789")), st.sampled_from([0.0, 0.5, 1.0]), min_size=3)


@given(SCORES, st.integers(2, 4))
def test_asking_the_same_again_narrows_nothing(scores, times):
    again = {(video, f"{sample} {time}"): score for (video, sample), score in scores.items() for time in range(times)}
    one, many = estimate(scores), estimate(again)
    assert many.mean == pytest.approx(one.mean)
    assert many.half_width == pytest.approx(one.half_width)
    assert many.questions == times * one.questions


def test_one_question_a_video_gives_the_usual_interval():
    rights = [1.0] * 30 + [0.0] * 70
    found = estimate({(str(video), "q"): right for video, right in enumerate(rights)})
    assert found.mean == pytest.approx(0.3)
    assert found.half_width == pytest.approx(1.984217 * (0.3 * 0.7 / 99) ** 0.5)


@pytest.mark.parametrize("videos", [5, 60])
def test_the_interval_holds_the_truth_in_95_of_100_draws_of_videos(videos):
    rng, held = np.random.default_rng(0), 0
    for _ in range(600):
        scores = {}
        for video in range(videos):
            chance = rng.beta(2, 2)  # videos differ, so questions of one video are alike; the mean is a half
            for sample in range(rng.integers(3, 9)):
                scores[str(video), str(sample)] = float(rng.random() < chance)
        found = estimate(scores)
        held += found.low <= 0.5 <= found.high
    assert 0.92 < held / 600 < 0.98


@given(SCORES)
def test_a_run_is_no_better_than_itself(scores):
    found = difference(scores, scores)
    assert (found.mean, found.questions) == (0.0, len(scores))
    assert over_seeds([scores, scores, scores]) == pytest.approx(scores)


def test_only_answers_to_the_same_questions_are_compared():
    one, other = {("a", "1"): 1.0}, {("a", "2"): 1.0}
    with pytest.raises(ValueError, match="same questions"):
        difference(one, other)
    with pytest.raises(ValueError, match="same questions"):
        over_seeds([one, other])
    with pytest.raises(ValueError, match="no question"):
        estimate({})
