"""Tiny models: four visual tokens a frame, windows of twelve frames."""

import os

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import CLIPVisionConfig, PreTrainedTokenizerFast, Qwen2Config

from model.configuration import VideoXLConfig
from model.modeling_video_xl import VideoXLForConditionalGeneration

LONG = os.environ.get("VICO_LONG_TESTS") == "1"
"""Whether the tests run at full count."""

SIZE = 28  # side of a frame in pixels
TOKENS_PER_FRAME = 4
WINDOW = 48


def tiny_config(**changes) -> VideoXLConfig:
    text = Qwen2Config(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE, patch_size=7
    )
    settings = {"window_tokens": WINDOW, "ratios": [2, 4, 8, 12, 16], "default_ratio": 4, **changes}
    return VideoXLConfig(text_config=text, vision_config=vision, **settings)


def tiny_model(seed: int = 0, **changes) -> VideoXLForConditionalGeneration:
    """A model whose every weight is random, VST projections apart from the ordinary ones."""
    generator = torch.Generator().manual_seed(seed)
    model = VideoXLForConditionalGeneration(tiny_config(**changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.5 if parameter.dim() == 1 else parameter.shape[-1] ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and the chat's marks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    fast.add_special_tokens({"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]})
    return fast


def pixels(frames: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random pixel values [frames, 3, S, S]."""
    return torch.randn(frames, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)).to(dtype)
