"""How positions become rotation angles."""

import copy
from typing import Literal, get_args

import torch
from torch import Tensor
from transformers import Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

Positions = Literal["published", "linear", "ntk", "yarn"]
"""`published`: compute on past the trained range, as the published model does. The others stretch the range by
`STRETCH`: `linear` divides every position by it (arXiv 2306.15595); `ntk` raises the base, so that the slowest
frequency is divided by it and the fastest is left alone (arXiv 2309.00071, section 3.1); `yarn` does either or both
by frequency (section 3.4).
"""

STRETCH = 4.0


def position_limit(config: Qwen2Config, positions: Positions) -> int:
    """Number of positions that the model, so scaled, is meant for."""
    return int(config.max_position_embeddings * (1 if positions == "published" else STRETCH))


def check_positions(positions: str) -> None:
    """Refuse an unknown scheme.

    Raises:
        ValueError: names the schemes there are.
    """
    if positions not in get_args(Positions):
        raise ValueError(f"positions must be one of {', '.join(get_args(Positions))}, not {positions!r}")


def rotary_tables(
    config: Qwen2Config, positions: Positions, position_ids: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and sines for `position_ids` [T]: [T, D] each, computed in float32 and rounded to `dtype`.

    Nothing is stored: the frequencies are a few dozen numbers, made anew for each pass from the
    configuration.
    """
    with torch.device(position_ids.device):
        rotary = Qwen2RotaryEmbedding(_scaled(config, positions))
    cos, sin = rotary(torch.empty(0, dtype=dtype, device=position_ids.device), position_ids[None])
    return cos[0], sin[0]


def _scaled(config: Qwen2Config, positions: Positions) -> Qwen2Config:
    if positions == "published":
        return config
    base, head_dim = config.rope_parameters["rope_theta"], config.hidden_size // config.num_attention_heads
    scaled = copy.deepcopy(config)
    scaled.rope_parameters = {
        "linear": {"rope_type": "linear", "rope_theta": base, "factor": STRETCH},
        # transformers' own kind, "dynamic", changes with the length; keys that are kept could not follow.
        "ntk": {"rope_type": "default", "rope_theta": base * STRETCH ** (head_dim / (head_dim - 2))},
        "yarn": {
            "rope_type": "yarn",
            "rope_theta": base,
            "factor": STRETCH,
            "original_max_position_embeddings": config.max_position_embeddings,
        },
    }[positions]
    return scaled
