"""What the loader has to know of the model and of the recipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from model.configuration import VideoXLConfig
from model.rotary import Positions, position_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSettings:
    """How samples become rows and rows become batches."""

    tokens_per_crop: int
    """Visual tokens of one frame or tile."""
    window_tokens: int
    """Visual tokens in a full window."""
    position_limit: int
    """Positions that the model is meant for; no row needs more."""
    ratios: tuple[int, ...]
    """The compression ratios that training draws from; each divides `window_tokens`."""
    rows: int = 1
    """Rows of a batch. The last batch of an epoch is filled up with rows that teach nothing."""
    most_questions: int = 8
    """Questions that one row may pack behind its visual prefix; 1: nothing is packed."""
    most_tokens: int = 16_384
    """Text tokens of one row; a sample that has more by itself is left out as `too_long`."""
    template: Literal["chat", "plain"] = "chat"
    """`chat`: the processor's chat template. `plain`: medium, caption, line break, as the align stage is published."""
    published_labels: bool = False
    """Whether the chat's marks and the line breaks behind them are learned too, as published."""
    max_bad_fraction: float = 0.01
    """Most samples that may be unusable, as a share of all; beyond it the loader stops."""
    streams: int = 8
    """Row groups that are open at a time, from which rows are taken in turn: what the shuffle mixes over."""

    @property
    def smallest_ratio(self) -> int:
        """The ratio that needs most positions."""
        return min(self.ratios)

    @classmethod
    def for_model(
        cls, config: VideoXLConfig, ratios: Sequence[int], positions: Positions = "published", **settings: object
    ) -> "LoaderSettings":
        """The settings for a model; `settings` are the fields with a default."""
        return cls(
            tokens_per_crop=config.tokens_per_crop, window_tokens=config.window_tokens,
            position_limit=position_limit(config.text_config, positions), ratios=tuple(ratios), **settings)
