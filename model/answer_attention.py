"""How strongly the tokens of an answer look at what a memory keeps.

The fused kernels give no weights. So question and answer are run once more behind the memory, as one pass of text, and
in the chosen layers the weights are computed anew from the queries and the kept keys:

    a(t, i) = 1 / (L N) * sum over l, n of exp(q_lnt . k_lni / sqrt(D) - z_lnt)
    z_lnt   = log of the sum over j of exp(q_lnt . k_lnj / sqrt(D))

where j runs over every key that t sees: the text in front, the VSTs of every window, and question and answer up to t.
The weights of one t sum to 1. It is the mean "raw attention" over heads and layers (Abnar and Zuidema, arXiv
2005.00928); which heads carry a thought is not known, so all count alike. t runs over the places that
predict the answer's tokens. The matrix of weights is never whole: kept rows are gone through in runs of `RUN`, once for
z and once for the weights.

L chosen layers, N query heads, H key heads, G = N / H, A answer tokens, T slots of the pass, P kept rows, K of them of
the video, R parts of the answer, D head size.
"""
# ruff: noqa: N803, N806, N815 (names end in the shape of the tensor)

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model.decoder_layer import PassContext, VSTAttention, rotate
from model.window_layout import Text, plan_steps

if TYPE_CHECKING:
    from model.memory import Memory
    from model.modeling_video_xl import VideoXLForConditionalGeneration

RUN = 1024
"""Rows whose weights are held at a time."""


@dataclass(frozen=True)
class AnswerAttention:
    """Attention of the parts of an answer; of each part `video_RK` and `text_R` sum to 1.

    Attributes:
        video_RK: float32 [R, K], to each kept VST (at ratio 1: visual token) of the video, by time.
        text_R: float32 [R], to all text: in front of the video, the question, the answer so far.
    """

    video_RK: Tensor
    text_R: Tensor


@torch.no_grad()
def answer_attention(
    model: "VideoXLForConditionalGeneration", memory: "Memory", question_ids: Sequence[int], answer_ids: Sequence[int],
    parts: Sequence[tuple[int, int]] | None = None, layers: Sequence[int] | None = None,
) -> AnswerAttention:
    """Run question and answer once more and see where the answer's tokens look.

    Weights are read where they lie: a layer that a device map keeps in main memory or on disk cannot be looked into.

    Args:
        memory: made by this model; it stays as it is.
        question_ids: ids of what stands behind the video, up to where the answer begins.
        answer_ids: ids of the answer; none: what is looked at before the answer ends at once.
        parts: first token and end of each part of the answer; left out: the whole answer is the only part.
        layers: numbers of layers; left out: all.

    Raises:
        ValueError: the memory is another model's; no question, an empty part, or a layer that is not there.
    """
    answered = max(len(answer_ids), 1)
    parts = [(0, answered)] if parts is None else parts
    if not question_ids or any(not 0 <= first < end <= answered for first, end in parts):
        raise ValueError(f"a question and parts inside {answered} answer tokens are needed, not {list(parts)}")
    decoder = model.model.language_model.layers
    chosen = range(len(decoder)) if layers is None else layers
    if not chosen or not set(chosen) <= set(range(len(decoder))):
        raise ValueError(f"layers are numbered from 0 to {len(decoder) - 1}; {list(chosen)} are not among them")
    cache = memory.cache(model).streams[0]
    ids = torch.tensor([*question_ids, *answer_ids[:-1]])
    means_RA = torch.zeros(len(parts), answered)
    for number, (first, end) in enumerate(parts):
        means_RA[number, first:end] = 1 / (end - first)
    kept_RP, own_R = torch.zeros(len(parts), len(cache.rows)), torch.zeros(len(parts))
    steps = plan_steps([Text(len(ids))], model.config.window_tokens, len(cache.rows))
    with _queries_and_keys([decoder[layer].self_attn for layer in chosen]) as add_here:
        add_here(lambda q, k, rows: _add_weights(q, k, rows, means_RA, kept_RP, own_R))
        model.model.run_pass([steps], ids, None, [cache.rows], cache.positions, keep=False)
    before = memory.state.prefix_tokens
    kept_RP, own_R = kept_RP / len(chosen), own_R / len(chosen)
    return AnswerAttention(kept_RP[:, before:], own_R + kept_RP[:, :before].sum(1))


@contextmanager
def _queries_and_keys(attentions: Sequence[VSTAttention]) -> Iterator[Any]:
    """Gives a function that takes another one, which each of these layers then calls, as it comes, with its rotated
    queries [N, T, D], its rotated keys [H, T, D] and the kept rows. Nothing is left on the layers afterwards.
    """
    calls: list[Any] = []

    def hook(attention: VSTAttention, inputs: tuple[Tensor, PassContext, Sequence[Any]]) -> None:
        hidden_TC, context, [rows] = inputs
        q, k, _ = attention.project(hidden_TC, context.plan)
        for call in calls:
            call(rotate(q, context.at_slots), rotate(k, context.at_slots), rows)

    handles = [attention.register_forward_pre_hook(hook) for attention in attentions]
    try:
        yield calls.append
    finally:
        for handle in handles:
            handle.remove()


def _add_weights(
    q_NTD: Tensor, k_HTD: Tensor, rows: Sequence[tuple[Tensor, Tensor]], means_RA: Tensor, kept_RP: Tensor,
    own_R: Tensor,
) -> None:
    """Add one layer's weights, mean over its heads, to `kept_RP` and `own_R`.

    Args:
        q_NTD, k_HTD: rotated, of the pass.
        rows: kept keys and values before the pass.
        means_RA: how much each answer token counts in each part.
    """
    heads, answered = k_HTD.shape[0], means_RA.shape[1]
    wide = torch.promote_types(torch.float32, q_NTD.dtype)
    q_HMD = (q_NTD[:, -answered:].to(wide) * q_NTD.shape[-1] ** -0.5).unflatten(0, (heads, -1)).flatten(1, 2)
    own_HMT = q_HMD @ k_HTD.to(wide).transpose(1, 2)
    seen_AT = torch.ones(answered, k_HTD.shape[1], dtype=torch.bool, device=q_HMD.device).tril(
        k_HTD.shape[1] - answered)
    own_HMT = own_HMT.unflatten(1, (-1, answered)).masked_fill(~seen_AT, float("-inf")).flatten(1, 2)
    runs = [run for k_HPD, _ in rows for run in k_HPD.split(RUN, 1)]
    z_HM = own_HMT.logsumexp(-1)
    for k_HSD in runs:
        z_HM = torch.logaddexp(z_HM, (q_HMD @ k_HSD.to(wide).transpose(1, 2)).logsumexp(-1))

    def of_parts(scores_HMS: Tensor) -> Tensor:
        weights_AS = (scores_HMS - z_HM[..., None]).exp().unflatten(1, (-1, answered)).mean((0, 1))
        return means_RA @ weights_AS.to(means_RA)

    own_R += of_parts(own_HMT).sum(1)
    done = 0
    for k_HSD in runs:
        kept_RP[:, done : done + k_HSD.shape[1]] += of_parts(q_HMD @ k_HSD.to(wide).transpose(1, 2))
        done += k_HSD.shape[1]
