"""The loss of a batch."""

# ruff: noqa: N815 (names end in the shape of the tensor)

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

IGNORED_LABEL = -100
"""The label of what has none."""


@dataclass(frozen=True, slots=True)
class LabelledTokens:
    """The L labelled tokens of a batch, row by row: where they stand, and where they are predicted."""

    row_L: Tensor
    column_L: Tensor
    predicted_at_L: Tensor

    def predicted_at(self, labels: Tensor) -> Tensor:
        """Where a logit is needed: bool, shaped as the labels [batch, ids]."""
        needed = torch.zeros_like(labels, dtype=torch.bool)
        needed[self.row_L, self.predicted_at_L] = True
        return needed

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of each, [L], in float32 at least.

        Args:
            logits: [batch, ids, vocabulary], or those at `predicted_at` alone, [places, vocabulary], row by row.
            labels: [batch, ids].
        """
        if logits.dim() == 2:
            number = self.predicted_at(labels).flatten().cumsum(0) - 1  # of each place; several may share one
            predicted = logits[number[self.row_L * labels.shape[1] + self.predicted_at_L].to(logits.device)]
        else:
            predicted = logits[self.row_L.to(logits.device), self.predicted_at_L.to(logits.device)]
        wide = predicted.to(torch.promote_types(torch.float32, predicted.dtype))
        return cross_entropy(wide, labels[self.row_L, self.column_L].to(logits.device), reduction="none")


def labelled_tokens(
    labels: Tensor, attention_mask: Tensor | None = None, question_ids: Tensor | None = None
) -> LabelledTokens:
    """Which tokens of a batch are learned, and from where.

    Args:
        labels: [batch, ids]; a token's label is predicted by the id before it. The first token of a packed
            question is predicted by the last id that the questions share, the first of a sample by nothing.
        attention_mask, question_ids: see `VideoXLForConditionalGeneration.forward`.
    """
    before = torch.arange(-1, labels.shape[1] - 1, device=labels.device).expand_as(labels).clone()
    if question_ids is not None:
        asks = question_ids.to(labels.device) > 0
        starts = asks & (question_ids.to(labels.device) != question_ids.to(labels.device).roll(1, dims=1))
        last_shared = asks.int().argmax(1, keepdim=True) - 1
        before = torch.where(starts, last_shared, before)
    counted = (labels != IGNORED_LABEL) & (before >= 0)
    if attention_mask is not None:
        # In front of a sample's first token there is nothing, or padding, which predicts nothing.
        counted &= attention_mask.to(labels.device).bool().gather(1, before.clamp(min=0))
    row, column = counted.nonzero(as_tuple=True)
    return LabelledTokens(row, column, before[row, column])


def token_loss(
    logits: Tensor, labels: Tensor, attention_mask: Tensor | None = None, question_ids: Tensor | None = None
) -> Tensor:
    """Mean cross entropy over the labelled tokens of a batch; arguments as for `labelled_tokens`, and `logits`
    [batch, ids, vocabulary].
    """
    return labelled_tokens(labels, attention_mask, question_ids).cross_entropy(logits, labels).mean()


def check_labels(labels: Tensor | None, input_ids: Tensor, some_logits: bool) -> None:
    """Refuse labels that do not fit the ids.

    Raises:
        ValueError: another shape, nothing labelled, or logits left out.
    """
    if labels is None:
        return
    if labels.shape != input_ids.shape:
        raise ValueError(
            f"labels have the shape {list(labels.shape)}, input_ids {list(input_ids.shape)}: make them one"
        )
    if some_logits:
        raise ValueError("labels need every logit: leave logits_to_keep out, and logits_at")
    if (labels[:, 1:] == IGNORED_LABEL).all():
        raise ValueError(f"no token is labelled: put ids where the labels are {IGNORED_LABEL} now")
