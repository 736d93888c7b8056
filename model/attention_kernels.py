"""Attention over several runs of keys, each worked off by itself and merged by its log-sum-exp.

A softmax over the keys [a | b] is the mean of the softmaxes over a and over b, weighted by the sums of their
exponentials. So a memory of any length is attended to run by run, no copy of it and no mask is ever made, and
what is held at a time does not grow with it. No gradient flows here; see `attention.py` for training.

H key heads, G query heads for each of them, L queries, S keys, D head size.
"""
# ruff: noqa: N803 (names end in the shape of the tensor)

import torch
from torch import Tensor

Partial = tuple[Tensor, Tensor]
"""Output [..., L, D] and log-sum-exp of the scores [..., L], both at least float32."""


def attend(q_HLD: Tensor, k_HSD: Tensor, v_HSD: Tensor, scale: float, causal: bool = False) -> Partial:
    """Attention of every query to all keys, or (`causal`, L = S) to the keys up to its own place.

    Args:
        q_HLD, k_HSD, v_HSD: [H, L, D], [H, S, D], [H, S, D]; any leading batch axis before H is taken along.
        scale: factor on the scores.

    Returns:
        the output and the log-sum-exp.
    """
    q, k, v = (t if t.dim() == 4 else t.unsqueeze(0) for t in (q_HLD, k_HSD, v_HSD))
    if q.device.type == "cpu":
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal, scale=scale)
    elif q.device.type == "cuda" and q.dtype in (torch.float16, torch.bfloat16):
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, 0.0, causal, scale=scale)[:2]
    elif q.device.type == "cuda" and q.dtype == torch.float32:
        out, lse = torch.ops.aten._scaled_dot_product_efficient_attention(
            q, k, v, None, True, 0.0, causal, scale=scale
        )[:2]
        lse = lse[..., : q.shape[-2]]  # the kernel pads it to a multiple of 32
    else:
        out, lse = _attend_by_hand(q, k, v, scale, causal)
    out = out.to(torch.promote_types(torch.float32, out.dtype))
    return (out, lse) if q_HLD.dim() == 4 else (out.squeeze(0), lse.squeeze(0))


def _attend_by_hand(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Partial:
    """The same for devices and types that have no kernel with a log-sum-exp."""
    scores = (q @ k.transpose(-1, -2)).to(torch.promote_types(torch.float32, q.dtype)) * scale
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    lse = torch.logsumexp(scores, -1)
    return torch.exp(scores - lse[..., None]) @ v.to(scores.dtype), lse


def merge(first: Partial, second: Partial) -> Partial:
    """The attention over the keys of both."""
    share_of_second = torch.sigmoid(second[1] - first[1])[..., None]
    return torch.lerp(first[0], second[0], share_of_second), torch.logaddexp(first[1], second[1])
