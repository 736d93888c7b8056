"""One step: batches in, one change of the weights out."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.ratio_choice import RatioChoice
from model.training.batch import Batch
from model.training.filler_row import with_filler_row
from model.training.ranks import Ranks
from model.training.sharding import accumulating
from model.training.step_loss import LossAverage, LossShare, loss_share


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettings:
    """What a step has to know.

    Attributes:
        ratios: compression ratios that are drawn from.
        loss_average: see `loss_share`.
        autocast: whether arithmetic is in bfloat16 while weights are not; sharded weights see to that themselves.
        clip_norm: longest gradient.
        windows_per_pass: as for `VideoXLForConditionalGeneration.forward`; training uses None, one pass.
    """

    ratios: Sequence[int]
    loss_average: LossAverage = "token"
    autocast: bool = False
    clip_norm: float = 1.0
    windows_per_pass: int | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of a step, over all ranks.

    Attributes:
        loss: mean as `loss_average` says.
        gradient_norm: before it was clipped.
        answer_tokens, samples: how many were learned from.
        stop: whether any rank asked for the end.
    """

    loss: float
    gradient_norm: float
    answer_tokens: int
    samples: int
    stop: bool


def forward_backward(
    model: VideoXLForConditionalGeneration, batches: Sequence[Batch],
    ratios_of: Callable[[Batch], list[RatioChoice]], settings: StepSettings, ranks: Ranks, stop: bool = False,
) -> StepResult:
    """Gradients of one step, added to those that are there.

    Args:
        batches: this rank's, as many as every other rank has.
        ratios_of: the ratio choice of each row of a batch.
        stop: whether this rank wants to end; what any rank says comes back.

    Returns:
        the result, its gradient norm still 0.
    """
    shares = [loss_share(batch, settings.loss_average) for batch in batches]
    total, tokens, samples, stops = ranks.sums([
        sum(share.total for share in shares), float(sum(batch.answer_tokens for batch in batches)),
        float(sum(batch.samples for batch in batches)), float(stop)])
    loss = torch.zeros((), device=ranks.device)
    for number, (batch, share) in enumerate(zip(batches, shares, strict=True), 1):
        accumulating(model, last=number == len(batches))
        part = _loss(model, batch, share, ratios_of(batch), settings, ranks, total)
        # Sharded gradients are averaged over the ranks, but the parts of the loss add up to its mean already.
        if part.requires_grad:  # words alone teach a projector nothing
            (part * ranks.size).backward()
        loss += part.detach()
    return StepResult(ranks.sums([loss.item()])[0], 0.0, int(tokens), int(samples), stops > 0)


def _loss(
    model: VideoXLForConditionalGeneration, batch: Batch, share: LossShare, ratios: list[RatioChoice],
    settings: StepSettings, ranks: Ranks, total: float,
) -> Tensor:
    if ranks.mesh is not None:
        batch, ratios = with_filler_row(batch, ratios, settings.ratios, model.config)
    with _arithmetic(settings, ranks.device):
        logits = model(
            batch.input_ids.to(ranks.device),
            attention_mask=batch.attention_mask.to(ranks.device),
            pixel_values=None if batch.pixel_values is None else batch.pixel_values.to(ranks.device),
            media_sizes=batch.media_sizes,
            question_ids=batch.question_ids,
            ratio=ratios,
            use_cache=False,
            logits_at=share.tokens.predicted_at(batch.labels).to(ranks.device),
            windows_per_pass=settings.windows_per_pass,
        ).logits
    return share.loss(logits, batch.labels, total)


def _arithmetic(settings: StepSettings, device: torch.device) -> AbstractContextManager:
    return torch.autocast(device.type, torch.bfloat16) if settings.autocast else nullcontext()


def update(model: nn.Module, optimiser: torch.optim.Optimizer, clip_norm: float) -> float:
    """Clip the gradients, change the weights, forget the gradients; returns the norm before clipping.

    A learning weight that the step did not use has a gradient of zeros: its momentum moves it and it decays, as it does
    on several ranks, where a filler row uses it.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    norm = nn.utils.clip_grad_norm_(learning, clip_norm)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return norm.item()


def checkpoint_activations(model: nn.Module) -> None:
    """Keep of each layer only what goes in, and compute it again on the way back.

    Nothing is drawn inside a layer - ratios are drawn before the pass is planned - so nothing has to be drawn again.
    """
    again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.gradient_checkpointing = True
            module._gradient_checkpointing_func = again
