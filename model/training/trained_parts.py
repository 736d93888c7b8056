"""Which weights learn."""

import re
from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

Part = Literal["vision", "projector", "vst", "language_model"]
PARTS: tuple[Part, ...] = get_args(Part)

VST = re.compile(r"\.vst_([qkv]_proj|embedding)\.")


def part_of(name: str) -> Part:
    """The part that a weight of `VideoXLForConditionalGeneration` belongs to, by its name."""
    if name.startswith("model.vision_tower."):
        return "vision"
    if name.startswith("model.projector."):
        return "projector"
    return "vst" if VST.search(name) else "language_model"


def freeze_all_but(model: nn.Module, parts: Sequence[Part]) -> None:
    """Let the weights of `parts` learn, and no others. Layers of the tower behind the one that is read never do."""
    unused = unused_tower_weights(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) in parts and not name.startswith(unused))


def unused_tower_weights(model: nn.Module) -> tuple[str, ...]:
    """How the names of the tower's weights begin that `vision_select_layer` leaves out of the computation."""
    config = model.config
    layers = range(config.tower_layers_used, config.vision_config.num_hidden_layers)
    tower = "model.vision_tower."
    return (f"{tower}post_layernorm.", *(f"{tower}encoder.layers.{layer}." for layer in layers))
