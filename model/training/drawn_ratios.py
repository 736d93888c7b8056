"""The compression ratios of a step."""

import hashlib
from collections.abc import Sequence

import numpy as np

from model.ratio_choice import DrawnRatio
from model.training.batch import Batch


def drawn_ratios(batch: Batch, choices: Sequence[int], seed: int, step: int) -> list[DrawnRatio]:
    """How the ratio of each window is chosen, one choice for each row of a batch.

    What a row draws hangs on the seed, the step and its samples only: not on the rank that it falls to, nor on what
    else is in its batch.
    """
    return [DrawnRatio(choices, np.random.default_rng([seed, step, *_words(ids)])) for ids in batch.sample_ids]


def _words(sample_ids: Sequence[str]) -> list[int]:
    digest = hashlib.sha256("\n".join(sample_ids).encode()).digest()
    return np.frombuffer(digest[:16], dtype="<u4").tolist()
