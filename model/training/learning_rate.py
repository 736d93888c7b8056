"""The learning rate of a step."""

import math


def learning_rate(step: int, steps: int, highest: float, warmup: float, end: float = 0.0) -> float:
    """Half a cosine down to `end` of the highest rate, behind a straight rise.

    As published (transformers' cosine schedule), but that the first step is not spent on a rate of 0.

    Args:
        step: from 0.
        steps: of the run.
        highest: the rate at the end of the rise.
        warmup: share of the steps that the rise takes.
        end: what is left of the highest rate at the end; published: 0. With 1 it stays.
    """
    rising = math.ceil(steps * warmup)
    if step < rising:
        return highest * (step + 1) / rising
    fallen = 0.5 * (1 - math.cos(math.pi * (step - rising) / max(1, steps - rising)))
    return highest * (1 - (1 - end) * fallen)
