"""Which compression ratio each window gets."""

import copy
from collections.abc import Sequence

import numpy as np

from model.configuration import VideoXLConfig
from model.window_layout import window_lengths

PUBLISHED_SEED = 42


class RatioDoesNotFitError(ValueError):
    """A ratio and a number of visual tokens do not go together; the message says what would."""


class DrawnRatio:
    """A ratio drawn for each window from `choices` by a seeded generator.

    Only choices that divide the window's length may be drawn, as published; with numpy's `default_rng(42)`,
    fresh for each sample, the draws are those of the published code after loading.

    Args:
        choices: ratios to draw from.
        generator: a numpy generator; it advances by one draw a window.
    """

    def __init__(self, choices: Sequence[int], generator: np.random.Generator) -> None:
        self.choices = tuple(choices)
        self.generator = generator

    def __repr__(self) -> str:
        return f"DrawnRatio({self.choices})"

    def draw(self, window_length: int) -> int:
        """Ratio for the next window of `window_length` visual tokens.

        Raises:
            RatioDoesNotFitError: no choice divides the window.
        """
        fitting = [ratio for ratio in self.choices if window_length % ratio == 0]
        if not fitting:
            raise RatioDoesNotFitError(
                f"none of the ratios {self.choices} divides a window of {window_length} visual tokens: "
                "add a ratio that does, or change the number of frames"
            )
        return int(self.generator.choice(fitting))

    def copy(self) -> "DrawnRatio":
        """The same choices with the generator's state copied: draws that leave the original where it is."""
        return DrawnRatio(self.choices, copy.deepcopy(self.generator))


RatioChoice = int | Sequence[int] | DrawnRatio


def check_ratio(ratio: RatioChoice, config: VideoXLConfig) -> None:
    """Refuse ratios that the model was not made for. Ratio 1, no compression, needs nothing of the model.

    Raises:
        ValueError: names a ratio that is neither 1 nor in `config.ratios`.
        TypeError: `ratio` is none of the accepted kinds.
    """
    if isinstance(ratio, DrawnRatio):
        asked: Sequence[int] = ratio.choices
    elif isinstance(ratio, (int, np.integer)) and not isinstance(ratio, bool):
        asked = (int(ratio),)
    elif isinstance(ratio, Sequence) and not isinstance(ratio, str):
        asked = ratio
    else:
        raise TypeError(f"ratio must be an integer, a sequence with one per window, or a DrawnRatio, not {ratio!r}")
    wrong = [value for value in asked if value != 1 and value not in config.ratios]
    if wrong:
        raise ValueError(f"compression ratio {wrong[0]!r} is not one of {config.ratios}: choose one of these, or 1")


def ratio_per_window(ratio: RatioChoice, tokens: int, config: VideoXLConfig) -> tuple[int, ...]:
    """The ratio of each window of a span of `tokens` visual tokens.

    Raises:
        RatioDoesNotFitError: the span has fewer tokens than the ratio.
        ValueError: the span has another number of windows than ratios.
    """
    check_ratio(ratio, config)
    lengths = window_lengths(tokens, config.window_tokens)
    if isinstance(ratio, DrawnRatio):
        chosen = tuple(ratio.draw(length) for length in lengths)
    elif isinstance(ratio, (int, np.integer)):
        chosen = (int(ratio),) * len(lengths)
    else:
        chosen = tuple(int(value) for value in ratio)
    if len(chosen) != len(lengths):
        raise ValueError(
            f"{tokens} visual tokens make {len(lengths)} windows, but {len(chosen)} ratios were given: "
            "give one ratio for all windows or one for each"
        )
    if chosen:
        check_enough_tokens(tokens, chosen[0])
    return chosen


def check_enough_tokens(tokens: int, ratio: int) -> None:
    """See that a span of so many visual tokens keeps anything at the ratio of its first window.

    Raises:
        RatioDoesNotFitError: it is shorter than the ratio.
    """
    if tokens < ratio:
        raise RatioDoesNotFitError(
            f"{tokens} visual tokens are too few for ratio {ratio}: give more frames or a smaller ratio"
        )


def default_ratio(config: VideoXLConfig) -> RatioChoice:
    """The configuration's own choice, with a fresh generator where it is a list."""
    if isinstance(config.default_ratio, int):
        return config.default_ratio
    if len(config.default_ratio) == 1:
        return config.default_ratio[0]
    return DrawnRatio(config.default_ratio, np.random.default_rng(PUBLISHED_SEED))
