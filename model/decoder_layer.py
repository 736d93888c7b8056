"""One layer of Qwen2 with VST compression.

Main differences from Qwen2: VST slots have q, k and v projections of their own; keys and values are kept for
VSTs and text only; a kept key is rotated a second time, to its memory position, and that is the key which
later steps see.

T slots of the pass, C hidden size, N query heads, H key heads, K kept rows, D head size.
"""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import Qwen2Config
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2MLP, Qwen2RMSNorm, rotate_half

from model.attention import Rows, attend_pass
from model.pass_plan import PassPlan

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, [slots, D] each."""


@dataclass
class PassContext:
    """What every layer of one pass needs besides the hidden states."""

    plan: PassPlan
    at_slots: Rotation
    at_ranks: Rotation


class RMSNorm(Qwen2RMSNorm):
    """Qwen2's, but never in less than the input's precision, so that float64 checks mean something."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Normalise the last axis."""
        wide = hidden_states.to(torch.promote_types(torch.float32, hidden_states.dtype))
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * wide.to(hidden_states.dtype)


class VSTAttention(nn.Module):
    """Grouped-query attention with separate projections for VST slots."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        self.config = config
        self.head_dim = config.hidden_size // config.num_attention_heads
        query_size = config.num_attention_heads * self.head_dim
        key_size = config.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, query_size, bias=True)
        self.k_proj = nn.Linear(config.hidden_size, key_size, bias=True)
        self.v_proj = nn.Linear(config.hidden_size, key_size, bias=True)
        self.o_proj = nn.Linear(query_size, config.hidden_size, bias=False)
        self.vst_q_proj = nn.Linear(config.hidden_size, query_size, bias=True)
        self.vst_k_proj = nn.Linear(config.hidden_size, key_size, bias=True)
        self.vst_v_proj = nn.Linear(config.hidden_size, key_size, bias=True)

    def forward(self, hidden_TC: Tensor, context: PassContext, pasts: Sequence[Rows]) -> tuple[Tensor, Tensor, Tensor]:
        """Attend over the pass; also give the keys (at memory positions) and values to keep, [H, K, D]
        each.
        """
        q, k, v = self.project(hidden_TC, context.plan)
        kept = context.plan.kept_K
        kept_k, kept_v = rotate(k[:, kept], context.at_ranks), v[:, kept]
        own = rotate(k, context.at_slots), v
        attended_TC = attend_pass(
            rotate(q, context.at_slots),
            own,
            (kept_k, kept_v),
            pasts,
            context.plan,
            self.config._attn_implementation,
        )
        return self.o_proj(attended_TC), kept_k, kept_v

    def project(self, hidden_TC: Tensor, plan: PassPlan) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [N, T, D], keys and values [H, T, D], not rotated."""
        ordinary = (self.q_proj, self.k_proj, self.v_proj)
        if plan.vst_V.shape[0] == 0:
            return tuple(self._heads(project(hidden_TC)) for project in ordinary)
        vst = (self.vst_q_proj, self.vst_k_proj, self.vst_v_proj)
        tokens, summaries = hidden_TC[plan.ordinary_U], hidden_TC[plan.vst_V]
        return tuple(
            self._heads(torch.cat((a(tokens), b(summaries)))[plan.restore_T])
            for a, b in zip(ordinary, vst, strict=True)
        )

    def _heads(self, x_TC: Tensor) -> Tensor:
        return x_TC.unflatten(-1, (-1, self.head_dim)).transpose(0, 1)


def rotate(x_HTD: Tensor, rotation: Rotation) -> Tensor:
    """Heads turned to their positions, [H, T, D]."""
    cos, sin = rotation
    return x_HTD * cos + rotate_half(x_HTD) * sin


class VideoXLDecoderLayer(GradientCheckpointingLayer):
    """Attention and MLP of one layer, each with its norm and residual."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        self.self_attn = VSTAttention(config)
        self.mlp = Qwen2MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, hidden_TC: Tensor, context: PassContext, pasts: Sequence[Rows]) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states [T, C], and the keys and values to keep."""
        attended, kept_k, kept_v = self.self_attn(self.input_layernorm(hidden_TC), context, pasts)
        hidden_TC = hidden_TC + attended
        return hidden_TC + self.mlp(self.post_attention_layernorm(hidden_TC)), kept_k, kept_v
