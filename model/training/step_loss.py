"""What a token counts in the loss of a step.

A step is many batches on many ranks. Its loss is one mean over all of them, so what a token counts is known only
when the tokens of the whole step are: each batch says how much it holds, the sums are added up, and then each batch
contributes its share.

A token that several packed questions share counts once for each of them, as it would if each had a row of its own.
Only `published_labels` learn such tokens.

L labelled tokens of a batch.
"""
# ruff: noqa: N806, N815 (names end in the shape of the tensor)

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from model.token_loss import LabelledTokens, labelled_tokens
from model.training.batch import Batch

LossAverage = Literal["token", "sample"]


@dataclass(frozen=True, slots=True)
class LossShare:
    """What one batch contributes to the loss of its step.

    Attributes:
        tokens: the labelled tokens.
        weights_L: what each counts; their sum over the step is not 1 but `total`.
        total: the batch's part of the sum that the step's loss is divided by.
    """

    tokens: LabelledTokens
    weights_L: Tensor
    total: float

    def loss(self, logits: Tensor, labels: Tensor, total_of_step: float) -> Tensor:
        """The batch's part of the step's loss, a scalar; parts of all batches of all ranks add up to it.

        Args:
            logits: [rows, ids, vocabulary], or those that `tokens.predicted_at` asks for.
            labels: [rows, ids].
            total_of_step: the sum of `total` over the step.
        """
        losses_L = self.tokens.cross_entropy(logits, labels)
        if total_of_step == 0:  # nothing but fillers: a zero that gradients can be taken of
            return losses_L.sum()
        return (losses_L * self.weights_L.to(losses_L)).sum() / total_of_step


def loss_share(batch: Batch, average: LossAverage) -> LossShare:
    """Weigh the labelled tokens of a batch.

    Args:
        average: "token": every answer token of the step counts the same. "sample": every sample does, and in it
            every token; published, where a rank's batch is one sample.
    """
    tokens = labelled_tokens(batch.labels, batch.attention_mask, batch.question_ids)
    questions_L = batch.question_ids[tokens.row_L, tokens.column_L]
    samples_R = batch.question_ids.amax(1).clamp(min=1)
    if average == "token":
        weights_L = torch.where(questions_L == 0, samples_R[tokens.row_L], 1).double()
        return LossShare(tokens, weights_L, float(weights_L.sum()))
    weights_L = torch.zeros(len(questions_L), dtype=torch.float64)
    learned = 0
    for row, samples in enumerate(samples_R.tolist()):
        in_row = tokens.row_L == row
        for question in range(1, samples + 1):
            own = in_row & ((questions_L == question) | (questions_L == 0))
            weights_L += own / max(1, int(own.sum()))
            learned += bool(own.any())
    return LossShare(tokens, weights_L, float(learned))
