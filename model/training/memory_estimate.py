"""Memory that a training step takes on one device, by sizes."""

from collections import Counter
from dataclasses import dataclass

import torch

from model.configuration import VideoXLConfig
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.training.flops import layer_weights
from model.training.train_choices import TrainChoices
from model.training.trained_parts import Part, part_of
from model.window_layout import kept_count, window_lengths


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes on one device.

    Attributes:
        weights, gradients, optimiser: spread over the ranks.
        gathered: what sharded weights take while they are whole.
        activations: of one pass.
        logits: of one pass, with their gradients.
    """

    weights: float
    gradients: float
    optimiser: float
    gathered: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All together."""
        return sum(getattr(self, name) for name in self.__slots__)

    def line(self) -> str:
        """In words."""
        parts = ", ".join(f"{name} {_size(getattr(self, name))}" for name in self.__slots__)
        return f"memory of a device, by sizes: {_size(self.total)} ({parts})"


def weight_counts(config: VideoXLConfig) -> Counter[Part]:
    """Weights of each part."""
    with torch.device("meta"):
        model = VideoXLForConditionalGeneration(config)
    counts: Counter[Part] = Counter()
    for name, parameter in model.named_parameters():
        counts[part_of(name)] += parameter.numel()
    return counts


def estimate_memory(
    config: VideoXLConfig, choices: TrainChoices, ranks: int, crops: int, text_tokens: int
) -> MemoryEstimate:
    """The memory of a step.

    Args:
        config: of the model.
        ranks: devices that share the weights.
        crops: frames and tiles of the largest pass.
        text_tokens: its text tokens.
    """
    counts = weight_counts(config)
    wide, text = (2 if choices.precision == "bfloat16" else 4), config.text_config
    narrow = 4 if choices.precision == "float32" else 2
    adapters = _adapter_weights(config, choices.lora_rank)
    everything = sum(counts.values()) + adapters
    learning = sum(counts[part] for part in choices.parts) + adapters
    per_layer = layer_weights(config)
    gathered = 0.0
    if ranks > 1:
        sharded = (counts["language_model"] + counts["vst"] - 2 * text.vocab_size * text.hidden_size)
        gathered = narrow * (everything - sharded) + 2.0 * narrow * sharded / text.num_hidden_layers
    elif choices.precision == "mixed":
        gathered = 2.0 * narrow * per_layer  # autocast's copies of one layer
    slots = text_tokens + _visual_slots(config, crops, min(choices.ratio_choices))
    return MemoryEstimate(
        weights=wide * everything / ranks,
        gradients=wide * learning / ranks,
        optimiser=2 * wide * learning / ranks,
        gathered=gathered,
        activations=_activations(config, choices, slots, crops, narrow),
        logits=text_tokens * text.vocab_size * (2 * narrow + 8.0),
    )


def _adapter_weights(config: VideoXLConfig, rank: int) -> int:
    text = config.text_config
    keys = text.num_key_value_heads * (text.hidden_size // text.num_attention_heads)
    sides = (
        2 * (text.hidden_size + text.hidden_size) + 2 * (text.hidden_size + keys)
        + 3 * (text.hidden_size + text.intermediate_size))
    return rank * sides * text.num_hidden_layers


def _visual_slots(config: VideoXLConfig, crops: int, ratio: int) -> int:
    windows = window_lengths(crops * config.tokens_per_crop, config.window_tokens)
    return sum(windows) + (sum(kept_count(tokens, ratio) for tokens in windows) if ratio > 1 else 0)


def _activations(config: VideoXLConfig, choices: TrainChoices, slots: int, crops: int, element: int) -> float:
    """Of every layer what goes in, and of one layer everything; or of all layers everything.

    Everything of a layer: for each slot about 10 vectors of the model's size (norms, q, k, v twice rotated, attention,
    residuals) and 4 of the MLP's.
    """
    text, vision = config.text_config, config.vision_config
    patches = crops * ((vision.image_size // vision.patch_size) ** 2 + 1)
    text_layer = slots * (10 * text.hidden_size + 4 * text.intermediate_size) * element
    tower_layer = patches * (10 * vision.hidden_size + 3 * vision.intermediate_size) * element
    tower_layers = config.tower_layers_used if "vision" in choices.parts else 0
    projected = 3 * patches * text.hidden_size * element
    if choices.keep_activations:
        return float(text.num_hidden_layers * text_layer + tower_layers * tower_layer + projected)
    inputs = text.num_hidden_layers * slots * text.hidden_size + tower_layers * patches * vision.hidden_size
    return float(inputs * element + max(text_layer, tower_layer * bool(tower_layers)) + projected)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
