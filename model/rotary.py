"""How positions become rotation angles."""

import copy
from typing import Literal

import torch
from torch import Tensor
from transformers import Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

Positions = Literal["published", "yarn"]
"""`published`: compute on past the trained range, as the published model does. `yarn`: stretch it (arXiv
2309.00071).
"""

YARN_FACTOR = 4.0


def position_limit(config: Qwen2Config, positions: Positions) -> int:
    """Number of positions that the model, so scaled, is meant for."""
    return int(config.max_position_embeddings * (YARN_FACTOR if positions == "yarn" else 1))


def check_positions(positions: str) -> None:
    """Refuse an unknown scheme.

    Raises:
        ValueError: names the schemes there are.
    """
    if positions not in ("published", "yarn"):
        raise ValueError(f"positions must be 'published' or 'yarn', not {positions!r}")


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
    scaled = copy.deepcopy(config)
    scaled.rope_parameters = {
        "rope_type": "yarn",
        "rope_theta": config.rope_parameters["rope_theta"],
        "factor": YARN_FACTOR,
        "original_max_position_embeddings": config.max_position_embeddings,
    }
    return scaled
