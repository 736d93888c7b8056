"""Attention of the steps of a pass, with nothing of the size tokens x tokens.

Each step's queries see three runs of keys: the rows kept before this pass (the past), the rows kept by
earlier steps of this pass, and the step's own slots up to the query. The first two carry memory positions,
the last in-window positions; all keys come here rotated.

* `eager`: scores and softmax written out, step by step. The reading copy.
* `sdpa` without gradients: each run by itself, merged by log-sum-exp (`attention_kernels.py`).
* `sdpa` with gradients: short steps of about the same length become the batch of one call, long steps have a call
  each (`attention_batches.py`).
* `flex_attention`: one call over [rows | slots] with a BlockMask made from block indices
  (`attention_flex.py`).

Legend: N query heads, H key heads, G = N / H, T slots of the pass, K rows kept by it, P rows of a past, L
slots of a step, S keys, D head size, B steps in one call.
"""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

from model.attention_batches import step_batches
from model.attention_flex import attend_flex
from model.attention_kernels import attend, merge
from model.pass_plan import PassPlan, StepSpan

Rows = Sequence[tuple[Tensor, Tensor]]
"""Runs of kept rows in order: keys and values, each [H, P, D]."""


def attend_pass(
    q_NTD: Tensor,
    own: tuple[Tensor, Tensor],
    new: tuple[Tensor, Tensor],
    pasts: Sequence[Rows],
    plan: PassPlan,
    implementation: str,
) -> Tensor:
    """Attention of all slots of a pass.

    Args:
        q_NTD: rotated queries [N, T, D].
        own: keys at in-window positions and values of all slots, each [H, T, D].
        new: keys at memory positions and values of the slots that are kept, each [H, K, D].
        pasts: for each sample the rows kept before this pass.
        plan: the pass.
        implementation: "eager", "sdpa" or "flex_attention".

    Returns:
        [T, N * D].
    """
    if implementation == "flex_attention":
        out_NTD = attend_flex(q_NTD, own, new, pasts, plan)
    elif implementation == "eager":
        out_NTD = torch.cat([_eager_step(q_NTD, *_keys(step, own, new, pasts), step) for step in plan.steps], 1)
    elif not (torch.is_grad_enabled() and any(t.requires_grad for t in (q_NTD, *own))):
        out_NTD = _merged(q_NTD, own, new, pasts, plan)
    else:
        out_NTD = _batched(q_NTD, own, new, pasts, plan)
    return out_NTD.transpose(0, 1).reshape(plan.tokens, -1)


def _keys(
    step: StepSpan, own: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor], pasts: Sequence[Rows]
) -> tuple[Tensor, Tensor]:
    """Keys and values that a step sees, its own slots last: [H, S, D] each."""
    runs = [
        *pasts[step.sample],
        tuple(t[:, step.new_start : step.new_stop] for t in new),
        tuple(t[:, step.start : step.stop] for t in own),
    ]
    return torch.cat([k for k, _ in runs], 1), torch.cat([v for _, v in runs], 1)


def _split_heads(q_NLD: Tensor, key_heads: int) -> Tensor:
    """[N, L, D] as [H, G, L, D]: query heads beside the key head they share."""
    return q_NLD.unflatten(0, (key_heads, -1))


def _lower_right(queries: int, keys: int, device: torch.device) -> Tensor:
    """[L, S] true where a query may look: the last query sees every key."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def _eager_step(q_NTD: Tensor, k_HSD: Tensor, v_HSD: Tensor, step: StepSpan) -> Tensor:
    q_HGLD = _split_heads(q_NTD[:, step.start : step.stop], k_HSD.shape[0])
    scores = (q_HGLD @ k_HSD[:, None].transpose(-1, -2)) * q_NTD.shape[-1] ** -0.5
    visible = _lower_right(q_HGLD.shape[2], k_HSD.shape[1], q_NTD.device)
    scores = scores.to(torch.promote_types(torch.float32, scores.dtype)).masked_fill(~visible, float("-inf"))
    return (torch.softmax(scores, -1).to(v_HSD.dtype) @ v_HSD[:, None]).flatten(0, 1)


def _sdpa_step(q_NTD: Tensor, k_HSD: Tensor, v_HSD: Tensor, step: StepSpan) -> Tensor:
    """One call for one step. Key heads stand on the batch axis, so that sharing them needs no copy."""
    q_HGLD = _split_heads(q_NTD[:, step.start : step.stop], k_HSD.shape[0])
    shape = (*q_HGLD.shape[:2], *k_HSD.shape[1:])
    k_HGSD, v_HGSD = k_HSD[:, None].expand(shape), v_HSD[:, None].expand(shape)
    queries, keys = q_HGLD.shape[2], k_HSD.shape[1]
    # On a GPU this bias is a flag of the flash kernel; elsewhere it would be made anyway, with warnings.
    mask = causal_lower_right(queries, keys) if q_NTD.is_cuda else _lower_right(queries, keys, q_NTD.device)
    return scaled_dot_product_attention(q_HGLD, k_HGSD, v_HGSD, attn_mask=mask).flatten(0, 1)


def _merged(
    q_NTD: Tensor,
    own: tuple[Tensor, Tensor],
    new: tuple[Tensor, Tensor],
    pasts: Sequence[Rows],
    plan: PassPlan,
) -> Tensor:
    """Past, new rows and own slots by themselves, merged; what is held does not grow with the past."""
    key_heads, scale = own[0].shape[0], q_NTD.shape[-1] ** -0.5
    q_HGTD = _split_heads(q_NTD, key_heads)
    past_partials = [
        _attend_rows(q_HGTD[:, :, sample.start : sample.stop], rows, scale)
        for sample, rows in zip(plan.samples, pasts, strict=True)
    ]
    outs = []
    for step in plan.steps:
        q_HGLD = q_HGTD[:, :, step.start : step.stop]
        shape = q_HGLD.shape
        partial = attend(q_HGLD, *(t[:, None, step.start : step.stop].expand(shape) for t in own), scale, causal=True)
        if step.new_stop > step.new_start:
            partial = merge(
                partial,
                _attend_rows(q_HGLD, [tuple(t[:, step.new_start : step.new_stop] for t in new)], scale),
            )
        if (past := past_partials[step.sample]) is not None:
            first = plan.samples[step.sample].start
            partial = merge(partial, tuple(t[:, :, step.start - first : step.stop - first] for t in past))
        outs.append(partial[0].to(q_NTD.dtype))
    return torch.cat(outs, 2).flatten(0, 1)


def _attend_rows(q_HGLD: Tensor, rows: Rows, scale: float) -> tuple[Tensor, Tensor] | None:
    """Every query to every row, run by run; None where there are no rows.

    Without a mask the G query heads of a key head are just more queries, so the rows are read in place.
    """
    q_HMD = q_HGLD.flatten(1, 2)
    partial = None
    for k_HPD, v_HPD in rows:
        one = attend(q_HMD, k_HPD, v_HPD, scale)
        partial = one if partial is None else merge(partial, one)
    if partial is None:
        return None
    return tuple(t.unflatten(1, q_HGLD.shape[1:3]) for t in partial)


def _batched(
    q_NTD: Tensor,
    own: tuple[Tensor, Tensor],
    new: tuple[Tensor, Tensor],
    pasts: Sequence[Rows],
    plan: PassPlan,
) -> Tensor:
    """Short steps of about the same length in one call, long ones in a call each; see `attention_batches.py`."""
    if "batches" not in plan.masks:
        past_sizes = [sum(k.shape[1] for k, _ in rows) for rows in pasts]
        plan.masks["batches"] = step_batches(plan, past_sizes, q_NTD.device, q_NTD.dtype)
    wanted = plan.masks["batches"]
    heads, key_heads, size = q_NTD.shape[0], own[0].shape[0], q_NTD.shape[-1]
    keys_and_values = [torch.cat((k, v.to(k.dtype)), -1) for k, v in (*chain(*pasts), new, own)]
    pool = torch.cat([run.transpose(0, 1) for run in keys_and_values]).flatten(1)
    q_Q = q_NTD.transpose(0, 1).flatten(1).index_select(0, wanted.slot_Q)
    kv_S = pool.index_select(0, wanted.key_S)
    q_parts = q_Q.split([batch.steps * batch.slots for batch in wanted.batches])
    kv_parts = kv_S.split([batch.steps * batch.keys for batch in wanted.batches])
    outs = []
    for batch, q, kv in zip(wanted.batches, q_parts, kv_parts, strict=True):
        q_BNLD = q.view(batch.steps, batch.slots, heads, size).transpose(1, 2)
        kv_BSHE = kv.view(batch.steps, batch.keys, key_heads, 1, 2 * size)
        kv_BNSE = kv_BSHE.expand(-1, -1, -1, heads // key_heads, -1).flatten(2, 3).transpose(1, 2)
        # Under autocast too in the type of what comes in: on a CPU bfloat16 makes the way back twice as slow.
        with torch.autocast(q.device.type, enabled=False):
            out_BNLD = scaled_dot_product_attention(q_BNLD, *kv_BNSE.split(size, -1), attn_mask=batch.bias_B1LS)
        outs.append(out_BNLD.transpose(1, 2).flatten(0, 1))
    outs += [_sdpa_step(q_NTD, *_keys(step, own, new, pasts), step).transpose(0, 1) for step in wanted.alone]
    return torch.cat(outs).flatten(1).index_select(0, wanted.place_T).unflatten(1, (heads, size)).transpose(0, 1)
