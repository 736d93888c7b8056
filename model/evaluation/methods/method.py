"""A way to look at a long video: its name, how many tokens it keeps, how its positions become angles.

    all                  every token, nothing else: LongVA's way
    all::yarn            the same on a stretched position range (linear, ntk, yarn)
    vst:16               Video-XL's own: one summary token for every 16
    pool-space:16        means over rectangles of a frame
    pool-time:16         means over neighbouring frames
    drop-frames:16       one frame in so many
    merge-frames:16      similar neighbouring frames averaged: MovieChat's way
    merge-places:16      the same place by place: MA-LMM's way
    two-tokens:72        what the question asks for, and the mean of a frame: LLaMA-VID's way, untrained
    pool-space:16:ntk    any of them with any positions
"""

from dataclasses import dataclass
from math import ceil
from typing import get_args

from model.configuration import VideoXLConfig
from model.evaluation.methods.drop_frames import drop_frames
from model.evaluation.methods.kept_tokens import Reduce
from model.evaluation.methods.merge_frames import merge_frames
from model.evaluation.methods.merge_places import merge_places
from model.evaluation.methods.pool_space import kept_grid, pool_space
from model.evaluation.methods.pool_time import pool_time
from model.evaluation.methods.two_tokens import content_grid
from model.ratio_choice import check_ratio
from model.rotary import Positions
from model.window_layout import kept_count, window_lengths

ALL, VST, TWO_TOKENS = "all", "vst", "two-tokens"

REDUCE: dict[str, Reduce] = {
    "pool-space": pool_space, "pool-time": pool_time, "drop-frames": drop_frames, "merge-frames": merge_frames,
    "merge-places": merge_places}
"""Ways that drop or average tokens whatever the question."""

NAMES = (ALL, VST, *REDUCE, TWO_TOKENS)
WHOLE_FRAMES = {"pool-time", "drop-frames", "merge-frames", "merge-places"}
"""Those of them that keep as many tokens of a frame as there are, and fewer frames."""


class MethodError(ValueError):
    """No such way to look; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Method:
    """A way to look.

    Attributes:
        name: one of `NAMES`.
        factor: visual tokens for each that is kept.
        positions: how positions become angles.
    """

    name: str
    factor: int = 1
    positions: Positions = "published"

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise MethodError(f"no way to look is called {self.name!r}: there are {', '.join(NAMES)}")
        if self.factor < 1 or (self.factor == 1) != (self.name == ALL):
            raise MethodError(
                f"{self.name}:{self.factor} is not to be had: a factor above 1 goes with every way but {ALL!r}, "
                "which keeps every token")
        if self.positions not in get_args(Positions):
            raise MethodError(f"{self.name}: positions are {', '.join(get_args(Positions))}, not {self.positions!r}")

    @classmethod
    def parse(cls, text: str) -> "Method":
        """Read `name[:factor[:positions]]`.

        Raises:
            MethodError: it says something else, or something that is not to be had.
        """
        name, factor, positions, *more = [*text.split(":"), "", ""][: max(3, text.count(":") + 1)]
        if more or (factor and not factor.isdecimal()):
            raise MethodError(f"a way to look is written name:factor:positions, not {text!r}")
        return cls(name, int(factor or 1), positions or "published")

    def __str__(self) -> str:
        """As `parse` reads it."""
        factor = "" if self.name == ALL else str(self.factor)
        positions = "" if self.positions == "published" else self.positions
        return ":".join([self.name, factor, positions]).rstrip(":")

    @property
    def asks_first(self) -> bool:
        """Whether what is kept depends on the question, so that questions cannot share a look."""
        return self.name == TWO_TOKENS

    def check(self, config: VideoXLConfig) -> None:
        """See, before any frame is looked at, whether the factor fits a model.

        Raises:
            MethodError: it does not; says why.
        """
        tokens = config.tokens_per_crop
        try:
            if self.name == VST:
                check_ratio(self.factor, config)
            elif self.name == "pool-space":
                kept_grid(tokens, self.factor)
            elif self.name == TWO_TOKENS:
                content_grid(tokens, self.factor)
        except ValueError as error:
            raise MethodError(f"{self}: {error}") from error

    def tokens_kept(self, frames: int, tokens_per_frame: int, window_tokens: int) -> int:
        """Tokens that are left of a video in the language model.

        Args:
            frames: of the video.
            tokens_per_frame: visual tokens of one.
            window_tokens: of the model; matters for VSTs of a last, short window only.
        """
        tokens = frames * tokens_per_frame
        if self.name == VST:
            return sum(kept_count(length, self.factor) for length in window_lengths(tokens, window_tokens))
        if self.name in WHOLE_FRAMES:
            return ceil(frames / self.factor) * tokens_per_frame
        return tokens // self.factor
