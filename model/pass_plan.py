"""The steps of one pass as index tensors.

T slots of the pass, U of them ordinary (text or visual), V of them VSTs, K of them kept for later steps.
"""
# ruff: noqa: N815 (names end in the shape of the tensor)

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from model.window_layout import Step


@dataclass(frozen=True)
class StepSpan:
    """Where one step lies in the pass: its slots, and the kept rows of this pass that it sees.

    All rows of the sample's past are seen too. `new_start:new_stop` index the K axis.
    """

    start: int
    stop: int
    new_start: int
    new_stop: int
    sample: int


@dataclass(frozen=True)
class SampleSpan:
    """Where the slots and the kept rows of one sample lie in the pass."""

    start: int
    stop: int
    kept_start: int
    kept_stop: int


@dataclass
class PassPlan:
    """One pass over the steps of one or several samples, all slots laid end to end.

    Attributes:
        steps: the spans, in order.
        samples: the samples, in order.
        positions_T: position of each slot.
        ordinary_U, vst_V: slots that are not, and that are, VSTs.
        restore_T: place of each slot in the concatenation of ordinary and VST slots.
        kept_K: slots that are kept; `kept_positions_K` their positions for every later step.
        source_T: row of each slot's input embedding in [text tokens | visual tokens | the VST embedding].
        text_tokens, visual_tokens: how many of each the pass holds.
        masks: attention masks made for this plan, by kind; they serve every layer.
    """

    steps: list[StepSpan]
    samples: list[SampleSpan]
    positions_T: Tensor
    ordinary_U: Tensor
    vst_V: Tensor
    restore_T: Tensor
    kept_K: Tensor
    kept_positions_K: Tensor
    source_T: Tensor
    text_tokens: int
    visual_tokens: int
    masks: dict[str, object] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Slots in the pass."""
        return self.positions_T.shape[0]

    def to(self, device: torch.device) -> "PassPlan":
        """The same plan with its tensors on `device`, masks left to be made there."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, masks={}, **tensors)


def plan_pass(steps_of_samples: Sequence[Sequence[Step]], device: torch.device | str = "cpu") -> PassPlan:
    """Lay the steps of each sample end to end; the first step's rank tells how long the sample's past is."""
    spans: list[StepSpan] = []
    samples: list[SampleSpan] = []
    positions, kept, kept_positions, vsts, is_text = [], [], [], [], []
    slot = kept_rows = 0
    for index, steps in enumerate(steps_of_samples):
        first_slot, first_kept, past_rows = slot, kept_rows, steps[0].first_rank
        for step in steps:
            spans.append(StepSpan(slot, slot + step.slots, first_kept, first_kept + step.first_rank - past_rows, index))
            positions.append(torch.arange(step.first_rank, step.first_rank + step.slots))
            kept_slots = torch.as_tensor(step.kept_slots, dtype=torch.long)
            kept.append(kept_slots + slot)
            kept_positions.append(torch.arange(step.first_rank, step.first_rank + len(kept_slots)))
            vsts.append(torch.as_tensor(step.vst_slots, dtype=torch.long) + slot)
            is_text.append(torch.full((step.tokens,), not step.is_window))
            slot += step.slots
            kept_rows += len(kept_slots)
        samples.append(SampleSpan(first_slot, slot, first_kept, kept_rows))
    vst = torch.cat(vsts)
    is_vst = torch.zeros(slot, dtype=torch.bool)
    is_vst[vst] = True
    ordinary = torch.nonzero(~is_vst).squeeze(1)
    restore = torch.empty(slot, dtype=torch.long)
    restore[torch.cat((ordinary, vst))] = torch.arange(slot)
    text, visual = torch.cat(is_text), ~torch.cat(is_text)
    text_tokens, visual_tokens = int(text.sum()), int(visual.sum())
    source = torch.full((slot,), text_tokens + visual_tokens)
    source[ordinary] = torch.where(text, text.cumsum(0) - 1, text_tokens + visual.cumsum(0) - 1)
    return PassPlan(
        spans,
        samples,
        torch.cat(positions).to(device),
        ordinary.to(device),
        vst.to(device),
        restore.to(device),
        torch.cat(kept).to(device),
        torch.cat(kept_positions).to(device),
        source.to(device),
        text_tokens,
        visual_tokens,
    )
