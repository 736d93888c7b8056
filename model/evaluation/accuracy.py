"""How often answers are right, with intervals.

Questions about one video stand or fall together, so videos are what is drawn at random, not questions: the variance is
that of sums over videos (the cluster-robust variance of a ratio; Cochran, Sampling Techniques, section 9A.1).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

Question = tuple[str, str]
"""Video and sample id."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions and half the width of its 95 % interval, over `questions` of `videos`."""

    mean: float
    half_width: float
    questions: int
    videos: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width


def estimate(scores: Mapping[Question, float]) -> Estimate:
    """The mean score.

    Raises:
        ValueError: there is no question.
    """
    if not scores:
        raise ValueError("no question was answered")
    by_video: dict[str, list[float]] = defaultdict(list)
    for (video, _), score in scores.items():
        by_video[video].append(score)
    mean = sum(scores.values()) / len(scores)
    videos = len(by_video)
    if videos == 1:
        return Estimate(mean, math.inf, len(scores), 1)
    spread = sum((sum(of_video) - len(of_video) * mean) ** 2 for of_video in by_video.values())
    deviation = math.sqrt(videos / (videos - 1) * spread) / len(scores)
    return Estimate(mean, t95(videos) * deviation, len(scores), videos)


def t95(videos: int) -> float:
    """Half of a 95 % interval, in standard deviations that come from so many videos (Student's t)."""
    return float(stdtrit(videos - 1, 0.975))


def over_seeds(runs: Sequence[Mapping[Question, float]]) -> dict[Question, float]:
    """The mean score of each question over several trained models.

    Raises:
        ValueError: they were not asked the same questions.
    """
    if any(run.keys() != runs[0].keys() for run in runs):
        raise ValueError("the runs were not asked the same questions")
    return {question: sum(run[question] for run in runs) / len(runs) for question in runs[0]}


def difference(one: Mapping[Question, float], other: Mapping[Question, float]) -> Estimate:
    """How much better `one` is than `other`, question by question (paired).

    Raises:
        ValueError: they were not asked the same questions.
    """
    if one.keys() != other.keys():
        raise ValueError("only answers to the same questions can be compared")
    return estimate({question: one[question] - other[question] for question in one})
