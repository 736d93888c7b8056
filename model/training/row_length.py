"""Whether a sample fits the model: its positions, text tokens and windows, counted as the model counts them."""

from collections.abc import Sequence

import numpy as np

from model.training.loader_settings import LoaderSettings
from model.training.sample_table import ALONE, SampleTable
from model.window_layout import Part, Text, Visual, plan_steps, window_lengths


def may_be_too_long(table: SampleTable, settings: LoaderSettings) -> np.ndarray:
    """bool [n]: samples that the upper bounds do not show to fit."""
    tokens = table.crops.astype(np.int64) * settings.tokens_per_crop
    # One more VST a crop: a window shorter than the ratio closes with one, and each such window holds a crop.
    summaries = tokens // settings.smallest_ratio + table.crops
    window = np.minimum(tokens, settings.window_tokens)
    needed = table.text + summaries + window + window // settings.smallest_ratio + 1
    return (needed > settings.position_limit) | (table.text > settings.most_tokens)


def may_fit_no_ratio(table: SampleTable, settings: LoaderSettings) -> np.ndarray:
    """bool [n]: samples some window of which may be a multiple of no ratio.

    Media that stand next to each other share their windows: of a sample with several, the words have to be read.
    """
    tokens = table.crops.astype(np.int64) * settings.tokens_per_crop
    several = (table.key == ALONE) & (table.crops > 0)
    return ~_divisible(tokens, settings) | several & ~_divisible(np.array(settings.tokens_per_crop), settings)


def _divisible(tokens: np.ndarray, settings: LoaderSettings) -> np.ndarray:
    """Whether the windows of spans of so many tokens are multiples of some ratio: full ones are, of each."""
    return np.any([tokens % ratio == 0 for ratio in settings.ratios], axis=0)


def runs_of(
    ids: Sequence[int], sizes: Sequence[int], media_token_id: int, settings: LoaderSettings
) -> list[tuple[bool, int]]:
    """Spans of visual tokens and runs of text of one sample, in order: (is visual, tokens).

    Args:
        ids: one `media_token_id` for each medium.
        sizes: frames or tiles of each.
        media_token_id: what marks a medium.
        settings: tokens of a crop.
    """
    runs: list[list[int]] = []  # [is medium, tokens]
    crops = iter(sizes)
    for one in ids:
        is_medium = one == media_token_id
        tokens = next(crops) * settings.tokens_per_crop if is_medium else 1
        if runs and runs[-1][0] == is_medium:
            runs[-1][1] += tokens
        else:
            runs.append([is_medium, tokens])
    return [(is_medium, tokens) for is_medium, tokens in runs]


def a_ratio_fits(runs: Sequence[tuple[bool, int]], settings: LoaderSettings) -> bool:
    """Whether a ratio can be drawn for each window of a sample."""
    return all(_divisible(np.array(tokens), settings) for is_medium, tokens in runs if is_medium)


def positions_needed(runs: Sequence[tuple[bool, int]], settings: LoaderSettings) -> int:
    """Positions of one sample at the smallest ratio."""
    parts: list[Part] = [
        Visual(tokens, (settings.smallest_ratio,) * len(window_lengths(tokens, settings.window_tokens)))
        if is_medium else Text(tokens)
        for is_medium, tokens in runs
    ]
    return max(step.first_rank + step.slots for step in plan_steps(parts, settings.window_tokens))
