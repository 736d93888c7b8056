"""Weights spread over the ranks (FSDP2).

The layers of the language model are sharded one by one: each runs once in a pass, whatever is in the batch. The
tower, which runs once for every few frames, belongs to the root, so that ranks with unlike numbers of frames still
gather the same things in the same order.
"""

import warnings

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.training.ranks import Ranks


def shard(model: VideoXLForConditionalGeneration, ranks: Ranks, mixed: bool) -> None:
    """Spread a model's weights over the ranks, in place; every rank comes with the same whole model.

    Args:
        mixed: weights stay in their type, and are gathered and used in bfloat16.
    """
    # Logits are a view, and nobody writes into them.
    warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module .* returned a view tensor")
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16 if mixed else None, reduce_dtype=torch.float32)
    for layer in model.model.language_model.layers:
        fully_shard(layer, mesh=ranks.mesh, mp_policy=policy)
    fully_shard(model, mesh=ranks.mesh, mp_policy=policy, reshard_after_forward=False)


def accumulating(model: nn.Module, last: bool) -> None:
    """Say before a backward pass whether it is the last one of its step: only then are gradients exchanged."""
    if hasattr(model, "set_requires_gradient_sync"):
        model.set_requires_gradient_sync(last)


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts of all ranks, on every rank. Every rank must ask for it."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, as every rank has it, laid out as another one is."""
    if not isinstance(like, DTensor):
        return tensor.to(like.device)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
