"""Frames and tiles to visual tokens: CLIP, two linear layers, average pool.

F frames or tiles, P patches of one, S side in pixels, E tower size, C language model size, V visual tokens of
one.
"""
# ruff: noqa: N803 (names end in the shape of the tensor)

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from transformers import CLIPVisionModel

from model.configuration import VideoXLConfig

FINITE_AT_A_TIME = 64  # frames looked over at once for NaN, so that a long video needs no second copy


class VisionTower(CLIPVisionModel):
    """CLIP. It has no mask whose blocks could be skipped, so flex attention would buy nothing here: sdpa
    serves it.
    """

    def get_correct_attn_implementation(self, requested_attention: str | None, is_init_check: bool = False) -> str:
        """The attention to use for one that was asked for."""
        wanted = "sdpa" if requested_attention == "flex_attention" else requested_attention
        return super().get_correct_attn_implementation(wanted, is_init_check)


class Projector(nn.Module):
    """Linear, GELU (the exact one), linear: tower size to language model size."""

    def __init__(self, tower_size: int, model_size: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(tower_size, model_size)
        self.act = nn.GELU()
        self.linear_2 = nn.Linear(model_size, model_size)

    def forward(self, features: Tensor) -> Tensor:
        """[..., E] to [..., C]."""
        return self.linear_2(self.act(self.linear_1(features)))


def patch_features(tower: CLIPVisionModel, pixels_F3SS: Tensor, layers: int) -> Tensor:
    """Hidden states [F, P, E] behind the first `layers` encoder layers, class token dropped, no final norm.

    Layers behind the selected one are not computed, and no other hidden state is kept.
    """
    tower = getattr(tower, "vision_model", tower)  # older transformers nest it
    hidden = tower.pre_layrnorm(tower.embeddings(pixels_F3SS))
    for layer in tower.encoder.layers[:layers]:
        hidden = layer(hidden, None)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    return hidden[:, 1:]


def pool_patches(features_FPC: Tensor, stride: int) -> Tensor:
    """Average squares of `stride` x `stride` patches: [F, P, C] to [F, V, C], both row by row."""
    side = int(features_FPC.shape[1] ** 0.5)
    grid = features_FPC.unflatten(1, (side, side)).permute(0, 3, 1, 2)
    return avg_pool2d(grid, stride).flatten(2).transpose(1, 2)


def visual_tokens(tower: CLIPVisionModel, projector: Projector, pixels_F3SS: Tensor, config: VideoXLConfig) -> Tensor:
    """Visual tokens [F * V, C] of frames or tiles [F, 3, S, S], in order, nothing between them.

    The projector runs on all patches and the pool comes after, as published. Its GELU stands between, so
    pooling first would be another function.
    """
    features = patch_features(tower, pixels_F3SS, config.tower_layers_used)
    return pool_patches(projector(features), config.pool_stride).flatten(0, 1)


def check_pixels(pixels: Tensor, config: VideoXLConfig) -> None:
    """Refuse pixel values that the tower was not made for.

    Raises:
        TypeError: they are not floating point.
        ValueError: their shape is not [F, 3, S, S], there are none, or some are NaN or infinite.
    """
    size = config.vision_config.image_size
    if not isinstance(pixels, Tensor) or not pixels.is_floating_point():
        found = pixels.dtype if isinstance(pixels, Tensor) else type(pixels).__name__
        raise TypeError(
            f"pixel_values must be a floating point tensor, not {found}: let VideoXLProcessor make it from frames"
        )
    if pixels.dim() != 4 or tuple(pixels.shape[1:]) != (3, size, size):
        raise ValueError(
            f"pixel_values must have the shape [frames, 3, {size}, {size}], not {list(pixels.shape)}: "
            "let VideoXLProcessor make them from frames"
        )
    if pixels.shape[0] == 0:
        raise ValueError("zero frames were given: give at least one frame, or leave pixel_values out")
    if not all(torch.isfinite(some).all() for some in pixels.split(FINITE_AT_A_TIME)):
        raise ValueError("pixel_values hold NaN or infinite values: look for them where the frames were made")


def check_visual_tokens(tokens_VC: Tensor, config: VideoXLConfig) -> None:
    """Refuse what cannot be the visual tokens of whole frames.

    Raises:
        ValueError: the shape is not [tokens of a frame x frames, C].
    """
    size, per_frame = config.text_config.hidden_size, config.tokens_per_crop
    if tokens_VC.dim() != 2 or tokens_VC.shape[1] != size or len(tokens_VC) % per_frame:
        raise ValueError(
            f"visual_tokens must have the shape [{per_frame} x frames, {size}], not {list(tokens_VC.shape)}"
        )
