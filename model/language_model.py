"""Qwen2 with VST compression: one pass over the steps of a plan.

Main differences from Qwen2: VST slots have q, k and v projections of their own; keys and values are kept for VSTs and
text only; a kept key is rotated a second time, to its memory position, and that is the key which later steps see.
Slots of all samples lie end to end, so the linear layers run once over everything and attention alone knows steps.

T slots of the pass, C hidden size, N query heads, H key heads, K kept rows, D head size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, Qwen2Config
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2MLP, Qwen2RMSNorm, rotate_half

from model.attention import Rows, attend_pass
from model.kept_rows import KeptRows
from model.pass_plan import PassPlan
from model.rotary import Positions, rotary_tables

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

    def forward(
        self, hidden_TC: Tensor, context: PassContext, pasts: Sequence[Rows]  # noqa: N803
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend over the pass; also give the keys (at memory positions) and values to keep, [H, K, D] each."""
        q, k, v = self._project(hidden_TC, context.plan)
        kept = context.plan.kept_K
        kept_k, kept_v = _rotate(k[:, kept], context.at_ranks), v[:, kept]
        own = _rotate(k, context.at_slots), v
        attended_TC = attend_pass(
            _rotate(q, context.at_slots), own, (kept_k, kept_v), pasts, context.plan, self.config._attn_implementation
        )
        return self.o_proj(attended_TC), kept_k, kept_v

    def _project(self, hidden_TC: Tensor, plan: PassPlan) -> tuple[Tensor, Tensor, Tensor]:  # noqa: N803
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

    def _heads(self, x_TC: Tensor) -> Tensor:  # noqa: N803
        return x_TC.unflatten(-1, (-1, self.head_dim)).transpose(0, 1)


def _rotate(x_HTD: Tensor, rotation: Rotation) -> Tensor:  # noqa: N803
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

    def forward(
        self, hidden_TC: Tensor, context: PassContext, pasts: Sequence[Rows]  # noqa: N803
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states [T, C], and the keys and values to keep."""
        attended, kept_k, kept_v = self.self_attn(self.input_layernorm(hidden_TC), context, pasts)
        hidden_TC = hidden_TC + attended
        return hidden_TC + self.mlp(self.post_attention_layernorm(hidden_TC)), kept_k, kept_v


class VideoXLLanguageModel(PreTrainedModel):
    """The decoder stack, its token embedding, and the one embedding that all VSTs share."""

    config_class = Qwen2Config
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["VideoXLDecoderLayer"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flex_attn = True

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__(config)
        # No padding row: it would get no gradient, and ids are never padding by the time they are embedded.
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.vst_embedding = nn.Embedding(1, config.hidden_size)
        self.layers = nn.ModuleList(VideoXLDecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.gradient_checkpointing = False
        self.post_init()

    def embed_pass(self, text_ids: Tensor, visual_VC: Tensor, source_T: Tensor) -> Tensor:  # noqa: N803
        """Input embeddings of a pass.

        Args:
            text_ids: ids of all text tokens of the pass, in order.
            visual_VC: all its visual tokens, in order.
            source_T: for each slot its row in [text | visual | the VST embedding].
        """
        text = self.embed_tokens(text_ids)
        return torch.cat((text, visual_VC.to(text), self.vst_embedding.weight.to(text.device)))[source_T]

    def forward(
        self, inputs_TC: Tensor, plan: PassPlan, pasts: Sequence[KeptRows], positions: Positions, keep: bool  # noqa: N803
    ) -> Tensor:
        """Run one pass.

        Args:
            inputs_TC: input embeddings, [T, C].
            plan: the pass, one sample for each of `pasts`.
            pasts: what each sample kept so far. With `keep`, its rows of this pass are appended.
            positions: how positions become angles.
            keep: whether anything will look at this pass later.

        Returns:
            the last layer's hidden states [T, C], before the final norm.
        """
        hidden_TC = inputs_TC
        contexts: dict[torch.device, PassContext] = {}
        for index, layer in enumerate(self.layers):
            # With a device map, layers live in different places. (Offloaded ones are "meta" until they run.)
            place = layer.mlp.gate_proj.weight.device
            hidden_TC = hidden_TC if place.type == "meta" else hidden_TC.to(place)
            if hidden_TC.device not in contexts:
                contexts[hidden_TC.device] = self._context(plan, positions, hidden_TC)
            context = contexts[hidden_TC.device]
            rows = [past.rows(index) for past in pasts]
            hidden_TC, kept_k, kept_v = layer(hidden_TC, context, rows)
            if keep:
                for sample, past in zip(plan.samples, pasts, strict=True):
                    span = slice(sample.kept_start, sample.kept_stop)
                    past.append(index, kept_k[:, span], kept_v[:, span])
        return hidden_TC

    def _context(self, plan: PassPlan, positions: Positions, hidden_TC: Tensor) -> PassContext:  # noqa: N803
        plan = plan.to(hidden_TC.device)
        return PassContext(
            plan,
            rotary_tables(self.config, positions, plan.positions_T, hidden_TC.dtype),
            rotary_tables(self.config, positions, plan.kept_positions_K, hidden_TC.dtype),
        )
