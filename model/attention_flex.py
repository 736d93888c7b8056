"""Attention of a pass in one `flex_attention` call.

The kept rows of the past and of the pass are gathered into one contiguous run in front of the pass's own
slots. With the summaries left where they stand between the slots, every block of keys would hold one, and no
block could be skipped. The BlockMask is made from block indices: what is computed for it has the size of
blocks x blocks.
"""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import pad

from model.pass_plan import PassPlan

BLOCK = 128


@cache
def _compiled():
    """`flex_attention` compiled, once."""
    return torch.compile(flex_attention)


def attend_flex(
    q_NTD: Tensor,
    own: tuple[Tensor, Tensor],
    new: tuple[Tensor, Tensor],
    pasts: Sequence[Sequence[tuple[Tensor, Tensor]]],
    plan: PassPlan,
) -> Tensor:
    """Attention of all slots; arguments as in `attention.attend_pass`. Returns [N, T, D].

    On a CPU the call is not compiled (torch then writes out the scores inside `flex_attention`, and has no
    backward): there it serves to be compared with.
    """
    rows = sum(k.shape[1] for run in pasts for k, _ in run) + new[0].shape[1]
    padding = -rows % BLOCK  # own slots begin at a block's edge
    k_HSD, v_HSD = (
        torch.cat([*(pair[i] for run in pasts for pair in run), pad(new[i], (0, 0, 0, padding)), own[i]], 1)
        for i in (0, 1)
    )
    groups = q_NTD.shape[0] // k_HSD.shape[0]
    if groups & (groups - 1):
        # The kernels share key heads among a power of two of query heads only.
        k_HSD, v_HSD = (t.repeat_interleave(groups, dim=0) for t in (k_HSD, v_HSD))
    if "flex" not in plan.masks:
        past_sizes = [sum(k.shape[1] for k, _ in run) for run in pasts]
        plan.masks["flex"] = block_mask(plan, past_sizes, q_NTD.device)
    call = _compiled() if q_NTD.is_cuda else flex_attention
    return call(
        q_NTD[None],
        k_HSD[None],
        v_HSD[None],
        block_mask=plan.masks["flex"],
        scale=q_NTD.shape[-1] ** -0.5,
        enable_gqa=True,
    )[0]


def block_mask(plan: PassPlan, past_sizes: Sequence[int], device: torch.device | str) -> BlockMask:
    """The mask of a pass over keys [pasts | new rows | padding | own slots].

    A query sees the rows of its sample's past, a run of new rows, and its own step up to itself. For a block
    of queries, a block of keys is full if the narrowest of these runs covers it, and left out if the widest
    misses it.
    """
    starts = np.cumsum([0, *past_sizes])
    new_start = int(starts[-1])
    rows = new_start + plan.kept_K.shape[0]
    own_start = rows + (-rows % BLOCK)
    runs = np.zeros((plan.tokens, 3, 2), dtype=np.int64)  # of each slot: past, new, own; from, to
    for step in plan.steps:
        slots = np.arange(step.start, step.stop)
        runs[slots, 0] = starts[step.sample], starts[step.sample + 1]
        runs[slots, 1] = new_start + step.new_start, new_start + step.new_stop
        runs[slots, 2, 0] = own_start + step.start
        runs[slots, 2, 1] = own_start + slots + 1
    any_QK, full_QK = _block_tables(runs, own_start + plan.tokens)
    indices = [_block_indices(table, device) for table in (any_QK & ~full_QK, full_QK)]
    bounds = torch.from_numpy(runs).to(device)

    def visible(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        past = (k >= bounds[q, 0, 0]) & (k < bounds[q, 0, 1])
        fresh = (k >= bounds[q, 1, 0]) & (k < bounds[q, 1, 1])
        return past | fresh | ((k >= bounds[q, 2, 0]) & (k < bounds[q, 2, 1]))

    return BlockMask.from_kv_blocks(
        *indices[0],
        *indices[1],
        BLOCK_SIZE=BLOCK,
        mask_mod=visible,
        seq_lengths=(plan.tokens, own_start + plan.tokens),
    )


def _block_tables(runs: np.ndarray, keys: int) -> tuple[np.ndarray, np.ndarray]:
    """For each block of queries and block of keys: may anything be seen; is everything seen by every
    query.
    """
    edges = np.arange(0, runs.shape[0], BLOCK)
    # A run of no length must not widen the bounds of its block.
    empty = runs[..., 0] >= runs[..., 1]
    low = np.where(empty, keys, runs[..., 0])
    high = np.where(empty, 0, runs[..., 1])
    first_key = np.arange(0, keys, BLOCK)
    last_key = np.minimum(first_key + BLOCK, keys)
    reach_low, reach_high = np.minimum.reduceat(low, edges), np.maximum.reduceat(high, edges)
    sure_low, sure_high = np.maximum.reduceat(low, edges), np.minimum.reduceat(high, edges)
    may = (reach_low[:, None] < last_key[:, None]) & (reach_high[:, None] > first_key[:, None])
    full = (sure_low[:, None] <= first_key[:, None]) & (sure_high[:, None] >= last_key[:, None])
    # The last block of keys may stick out over the end: the kernels want it partial.
    full &= (first_key + BLOCK <= keys)[None, :, None]
    # So must the last block of queries.
    if runs.shape[0] % BLOCK:
        full[-1] = False
    return may.any(2), full.any(2)


def _block_indices(table_QK: np.ndarray, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Number of marked key blocks of each query block, and their indices first: [1, 1, Q] and [1, 1, Q,
    K].
    """
    counts = torch.from_numpy(table_QK.sum(1).astype(np.int32))
    order = torch.from_numpy(np.argsort(~table_QK, axis=1, kind="stable").astype(np.int32))
    return counts[None, None].to(device), order[None, None].to(device)
