"""What a call is given, checked against each other and brought into one form."""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.configuration import VideoXLConfig
from model.stream_cache import StreamCaches
from model.vision import check_pixels, check_visual_tokens


def unpadded(input_ids: Tensor, attention_mask: Tensor | None, past: StreamCaches | None) -> list[Tensor]:
    """The columns of each sample that are not padding.

    Raises:
        ValueError: shapes that do not fit.
    """
    if input_ids.dim() != 2 or input_ids.shape[1] == 0:
        raise ValueError(
            f"input_ids must have the shape [batch, ids] with at least one id, not {list(input_ids.shape)}"
        )
    if attention_mask is None:
        return [torch.arange(input_ids.shape[1], device=input_ids.device)] * len(input_ids)
    if past is not None:
        attention_mask = attention_mask[:, -input_ids.shape[1] :]
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has the shape {list(attention_mask.shape)}, input_ids {list(input_ids.shape)}: "
            "they must be the same"
        )
    return [row.nonzero().squeeze(1) for row in attention_mask]


def check_ids(input_ids: Tensor, config: VideoXLConfig) -> None:
    """Refuse ids that are outside the vocabulary.

    Raises:
        ValueError, TypeError: names the first such id, or the type.
    """
    if input_ids.is_floating_point():
        raise TypeError(f"ids must be integers, not {input_ids.dtype}")
    low, high = (int(x) for x in (input_ids.min(), input_ids.max())) if input_ids.numel() else (0, 0)
    if low < 0 or high >= config.text_config.vocab_size:
        wrong = low if low < 0 else high
        raise ValueError(
            f"id {wrong} is outside the vocabulary of {config.text_config.vocab_size}; media are marked with "
            f"{config.media_token_id} (config.media_token_id)"
        )


def check_media(pixel_values: Tensor | None, visual_tokens: Tensor | None, config: VideoXLConfig) -> None:
    """Refuse media that the tower or the language model was not made for.

    Raises:
        ValueError, TypeError: says what they should be.
    """
    if pixel_values is not None and visual_tokens is not None:
        raise ValueError("pixel_values and visual_tokens were both given: give one of them")
    if pixel_values is not None:
        check_pixels(pixel_values, config)
    if visual_tokens is not None:
        check_visual_tokens(visual_tokens, config)


def crops(pixel_values: Tensor | None, visual_tokens: Tensor | None, config: VideoXLConfig) -> int | None:
    """Frames and tiles in a batch, None without media."""
    if pixel_values is not None:
        return len(pixel_values)
    return None if visual_tokens is None else len(visual_tokens) // config.tokens_per_crop


def sizes_of_media(crops: int | None, media_sizes: Tensor | Sequence[int] | None) -> list[int]:
    """Frames or tiles of each medium; all `crops` are one medium's if nothing is said.

    Raises:
        ValueError: they do not add up.
    """
    if crops is None:
        if media_sizes is not None and len(media_sizes):
            raise ValueError("media_sizes were given without pixel_values: give both or neither")
        return []
    if media_sizes is None:
        return [crops]
    sizes = [int(size) for size in media_sizes]
    if sum(sizes) != crops:
        raise ValueError(f"media_sizes add up to {sum(sizes)} frames and tiles, but {crops} were given")
    return sizes


def repeated(values: Tensor, sizes: list[int], counts: list[int], times: int) -> Tensor:
    """Cut `values` into media of `sizes`, `counts` of them a sample, and repeat each sample's `times` in a row."""
    media = iter(values.split(sizes))
    of_samples = [[next(media) for _ in range(count)] for count in counts]
    return torch.cat([medium for sample in of_samples for _ in range(times) for medium in sample])
