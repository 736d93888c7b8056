"""Which steps of a pass become the batch of one attention call.

A pass has hundreds of short steps: windows of a few sizes, and questions of any length. Steps of about the same length
are padded to the longest of them and share a call, so that neither calls nor padding are many. What they need is
gathered once for all calls, and scattered back once.

Legend: T slots of the pass, Q gathered queries, S gathered keys; of one call B steps, L slots of the longest, M rows
that the one which sees most of them sees.
"""
# ruff: noqa: N806, N815 (names end in the shape of the tensor)

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.pass_plan import PassPlan, StepSpan

MASK_LIMIT = 1 << 22
"""Largest mask of one call, in elements; a step whose own is larger has a call to itself, without a mask."""

_LENGTHS_IN_AN_OCTAVE = 3


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Steps of one call.

    Attributes:
        steps: B.
        slots: L.
        keys: M + L; those of the rows stand before those of the step's own slots.
        bias_B1LS: what is added to the scores: 0 where a query may look, minus infinity elsewhere.
    """

    steps: int
    slots: int
    keys: int
    bias_B1LS: Tensor


@dataclass(frozen=True, slots=True)
class StepBatches:
    """All steps of a pass, those in batches first.

    Attributes:
        batches: one call each.
        alone: steps with a call to themselves.
        slot_Q: the slot of each gathered query, batch after batch.
        key_S: the key of each gathered key, counted over [rows of all pasts | new rows | own slots].
        place_T: for each slot its place in the outputs of all batches and of all steps alone, laid end to end.
    """

    batches: tuple[StepBatch, ...]
    alone: tuple[StepSpan, ...]
    slot_Q: Tensor
    key_S: Tensor
    place_T: Tensor


def step_batches(
    plan: PassPlan, past_sizes: Sequence[int], device: torch.device, kind: torch.dtype
) -> StepBatches:
    """Share the steps out over calls.

    Args:
        plan: the pass.
        past_sizes: rows that each sample kept before it.
        device: where the tensors are needed.
        kind: type of the scores.
    """
    groups, alone = _groups(plan.steps, past_sizes)
    batches, slots, keys, places, done = [], [], [], torch.empty(plan.tokens, dtype=torch.long), 0
    new_start = sum(past_sizes)
    starts = new_start, new_start + plan.kept_K.shape[0]
    past_starts = [sum(past_sizes[:sample]) for sample in range(len(past_sizes))]
    for group in groups:
        longest = max(step.stop - step.start for step in group)
        rows = max(_rows(step, past_sizes) for step in group)
        slot_BL = torch.zeros(len(group), longest, dtype=torch.long)
        key_BS = torch.zeros(len(group), rows + longest, dtype=torch.long)
        bias_BLS = torch.full((len(group), longest, rows + longest), -math.inf, dtype=kind)
        causal_LL = torch.full((longest, longest), -math.inf, dtype=kind).triu(1)
        for index, step in enumerate(group):
            length, past = step.stop - step.start, past_sizes[step.sample]
            seen = past + step.new_stop - step.new_start
            first = past_starts[step.sample]
            slot_BL[index, :length] = torch.arange(step.start, step.stop)
            key_BS[index, :past] = torch.arange(first, first + past)
            key_BS[index, past:seen] = torch.arange(step.new_start, step.new_stop) + starts[0]
            key_BS[index, rows:rows + length] = torch.arange(step.start, step.stop) + starts[1]
            bias_BLS[index, :, :seen] = 0
            # Padded queries see the step's own slots, so that no row of the softmax is empty.
            bias_BLS[index, :, rows:rows + length] = causal_LL[:, :length]
            places[step.start:step.stop] = torch.arange(length) + done + index * longest
        done += slot_BL.numel()
        slots.append(slot_BL.flatten())
        keys.append(key_BS.flatten())
        batches.append(StepBatch(len(group), longest, rows + longest, bias_BLS[:, None].to(device)))
    for step in alone:
        places[step.start:step.stop] = torch.arange(step.stop - step.start) + done
        done += step.stop - step.start
    none = [torch.empty(0, dtype=torch.long)]
    return StepBatches(
        tuple(batches), tuple(alone), *(torch.cat(some or none).to(device) for some in (slots, keys)),
        places.to(device))


def _groups(steps: Sequence[StepSpan], past_sizes: Sequence[int]) -> tuple[list[list[StepSpan]], list[StepSpan]]:
    """Steps of about the same length, as many as one mask may serve; and those that are too long for any."""
    alike: dict[int, list[StepSpan]] = defaultdict(list)
    alone = []
    for step in steps:
        length = step.stop - step.start
        if length * (length + _rows(step, past_sizes)) > MASK_LIMIT:
            alone.append(step)
        else:
            alike[math.ceil(_LENGTHS_IN_AN_OCTAVE * math.log2(length))].append(step)
    groups = []
    for some in alike.values():
        longest = max(step.stop - step.start for step in some)
        rows = max(_rows(step, past_sizes) for step in some)
        size = max(1, MASK_LIMIT // (longest * (longest + rows)))
        groups += [some[at:at + size] for at in range(0, len(some), size)]
    return groups, alone


def _rows(step: StepSpan, past_sizes: Sequence[int]) -> int:
    return past_sizes[step.sample] + step.new_stop - step.new_start
