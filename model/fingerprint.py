"""Telling one model from another."""

import hashlib
import json

import torch
from transformers import PreTrainedModel

SAMPLES_PER_TENSOR = 16


def fingerprint(model: PreTrainedModel) -> str:
    """A name for the function that a model computes: equal on every device, different after training.

    It covers the sizes, the type of the weights, and 16 numbers spread over each weight tensor; a change that
    leaves all of those bits alone would go unseen. Weights that a device map keeps on disk are left out.
    """
    config = model.config
    sizes = {
        "text": {key: value for key, value in config.text_config.to_dict().items() if key in TEXT_KEYS},
        "window_tokens": config.window_tokens,
        "vision_select_layer": config.vision_select_layer,
        "pool_stride": config.pool_stride,
        "dtype": str(model.dtype),
    }
    digest = hashlib.sha256(json.dumps(sizes, sort_keys=True, default=str).encode())
    by_device: dict[torch.device, list[torch.Tensor]] = {}
    for parameter in model.parameters():
        if parameter.is_meta:
            continue
        flat = parameter.detach().flatten()
        step = max(1, flat.shape[0] // SAMPLES_PER_TENSOR)
        by_device.setdefault(flat.device, []).append(flat[::step][:SAMPLES_PER_TENSOR].double())
    # One transfer a device: asking tensor by tensor would wait for the GPU a thousand times.
    for samples in by_device.values():
        digest.update(torch.cat(samples).cpu().numpy().tobytes())
    return digest.hexdigest()


TEXT_KEYS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "rms_norm_eps",
    "rope_parameters",
    "vocab_size",
)
