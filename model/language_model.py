"""The stack of decoder layers: one pass over the steps of a plan.

Slots of all samples lie end to end, so the linear layers run once over everything and attention alone knows
steps.

T slots of the pass, C hidden size.
"""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, Qwen2Config

from model.decoder_layer import PassContext, RMSNorm, VideoXLDecoderLayer
from model.kept_rows import KeptRows
from model.pass_plan import PassPlan
from model.rotary import Positions, rotary_tables


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

    def embed_pass(self, text_ids: Tensor, visual_VC: Tensor, source_T: Tensor) -> Tensor:
        """Input embeddings of a pass.

        Args:
            text_ids: ids of all text tokens of the pass, in order.
            visual_VC: all its visual tokens, in order.
            source_T: for each slot its row in [text | visual | the VST embedding].
        """
        text = self.embed_tokens(text_ids)
        return torch.cat((text, visual_VC.to(text), self.vst_embedding.weight.to(text.device)))[source_T]

    def forward(
        self, inputs_TC: Tensor, plan: PassPlan, pasts: Sequence[KeptRows], positions: Positions, keep: bool
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
        kept: list[tuple[Tensor, Tensor]] = []
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
            kept += [(kept_k, kept_v)] if keep else []
        # Only now: a pass that fails half-way leaves its past whole.
        for index, (kept_k, kept_v) in enumerate(kept):
            for sample, past in zip(plan.samples, pasts, strict=True):
                span = slice(sample.kept_start, sample.kept_stop)
                past.append(index, kept_k[:, span], kept_v[:, span])
        return hidden_TC

    def _context(self, plan: PassPlan, positions: Positions, hidden_TC: Tensor) -> PassContext:
        plan = plan.to(hidden_TC.device)
        return PassContext(
            plan,
            rotary_tables(self.config, positions, plan.positions_T, hidden_TC.dtype),
            rotary_tables(self.config, positions, plan.kept_positions_K, hidden_TC.dtype),
        )
