"""Arithmetic that a training step needs, and no more.

Counted are the products of linear layers and of attention over the pairs that are visible, a multiply-add as two. What
is computed again for want of memory is not counted. A backward pass takes as much again for the gradient of a layer's
inputs, wherever something in front of it learns, and as much again for the gradient of its weights, where they learn.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from model.configuration import VideoXLConfig
from model.training.trained_parts import Part
from model.window_layout import Step


@dataclass(frozen=True, slots=True)
class ForwardFlops:
    """Arithmetic of one forward pass."""

    vision: float
    projector: float
    linear: float
    attention: float
    head: float

    def training(self, parts: Collection[Part], lora: bool = False) -> float:
        """Arithmetic of forward and backward together.

        Args:
            parts: parts whose weights learn; see `trained_parts`.
            lora: whether adapters learn in place of the language model; their own arithmetic, a few hundredths, is
                left out.
        """
        total = self.vision + self.projector + self.linear + self.attention + self.head
        if "vision" in parts:
            total += 2 * self.vision
        total += self.projector * (("projector" in parts) + ("vision" in parts))
        # Everything that learns lies in front of some layer of the language model, and attention has no weights.
        total += self.linear * (1 + ("language_model" in parts)) + 2 * self.attention
        total += self.head * (1 + ("language_model" in parts and not lora))
        return total


def forward_flops(config: VideoXLConfig, steps: Sequence[Step], frames: int, text_tokens: int) -> ForwardFlops:
    """Arithmetic of one pass.

    Args:
        config: sizes.
        steps: of all rows; see `plan_steps`.
        frames: frames and tiles of all rows.
        text_tokens: ids whose logits are computed; in training those that an answer token follows.
    """
    text, vision = config.text_config, config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    layer = (4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size) * 2
    pairs = 4 * vision.hidden_size * (patches + 1)
    tower = config.tower_layers_used * (patches + 1) * (layer + pairs)
    tower += 2 * patches * vision.hidden_size * 3 * vision.patch_size**2
    projector = 2 * patches * (vision.hidden_size * text.hidden_size + text.hidden_size**2)
    visible = sum(step.slots * step.first_rank + step.slots * (step.slots + 1) / 2 for step in steps)
    return ForwardFlops(
        vision=float(frames * tower),
        projector=float(frames * projector),
        linear=2.0 * layer_weights(config) * text.num_hidden_layers * sum(step.slots for step in steps),
        attention=4.0 * text.hidden_size * text.num_hidden_layers * visible,
        head=2.0 * text.vocab_size * text.hidden_size * text_tokens,
    )


def layer_weights(config: VideoXLConfig) -> int:
    """Weights of the linear layers that one slot meets in one layer of the language model."""
    text = config.text_config
    keys = text.num_key_value_heads * (text.hidden_size // text.num_attention_heads)
    return 2 * text.hidden_size**2 + 2 * text.hidden_size * keys + 3 * text.hidden_size * text.intermediate_size
