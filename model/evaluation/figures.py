"""Scores to figures with intervals: a plain mean, or a mean of the means of groups.

Questions about one video stand or fall together, so it is videos that are drawn at random: an interval comes from what
each video adds to the figure's error (the linearised, cluster-robust variance; Cochran, Sampling Techniques, section
9A.1; `model.evaluation.accuracy.estimate` is the case of one group).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.evaluation.accuracy import Estimate, t95
from model.evaluation.task import Figure


@dataclass(frozen=True, slots=True)
class Item:
    """What is averaged: a question, or several that count as one.

    Attributes:
        video: that it is about.
        score: 0 to 1.
        attributes: to group by.
    """

    video: str
    score: float
    attributes: Mapping[str, str]


def mean_of_groups(items: Sequence[Item], groups: Sequence[str]) -> Estimate:
    """The mean of the mean scores of the groups, each group weighing the same.

    Args:
        items: what was scored.
        groups: the group of each; all equal: the plain mean.

    Raises:
        ValueError: there is nothing.
    """
    if not items:
        raise ValueError("no question was answered")
    scores: dict[str, list[float]] = defaultdict(list)
    for item, group in zip(items, groups, strict=True):
        scores[group].append(item.score)
    means = {group: sum(of_group) / len(of_group) for group, of_group in scores.items()}
    mean = sum(means.values()) / len(means)
    errors: dict[str, float] = defaultdict(float)
    for item, group in zip(items, groups, strict=True):
        errors[item.video] += (item.score - means[group]) / (len(scores[group]) * len(means))
    videos = len(errors)
    if videos == 1:
        return Estimate(mean, math.inf, len(items), 1)
    variance = videos / (videos - 1) * sum(error**2 for error in errors.values())
    return Estimate(mean, t95(videos) * math.sqrt(variance), len(items), videos)


def figures_of(
    items: Sequence[Item], by: Sequence[str] = (), mean_over: str | None = None,
    published: Mapping[str, float] | None = None, overall: str = "overall",
) -> list[Figure]:
    """The overall figure first, then one for each value of each attribute, in alphabetical order.

    Args:
        items: what was scored.
        by: attributes to group by; the figure of a value is called "attribute: value".
        mean_over: the attribute whose groups weigh the same in the overall figure; None: all items weigh the same.
        published: by the figures' names.
        overall: name of the first figure.
    """
    published = published or {}
    groups = ["" if mean_over is None else item.attributes[mean_over] for item in items]
    figures = [Figure(overall, mean_of_groups(items, groups), published.get(overall))]
    for attribute in by:
        for value in sorted({item.attributes[attribute] for item in items}):
            some = [item for item in items if item.attributes[attribute] == value]
            name = f"{attribute}: {value}"
            figures.append(Figure(name, mean_of_groups(some, [""] * len(some)), published.get(name)))
    return figures
