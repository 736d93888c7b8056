"""AdamW over the weights that learn."""

import torch
from torch import nn

BETA1 = 0.9
EPSILON = 1e-8
"""Both as published (the defaults of torch and transformers)."""


def make_optimiser(model: nn.Module, weight_decay: float, beta2: float = 0.999) -> torch.optim.AdamW:
    """AdamW; weights with one axis (norms and biases) do not decay, as published.

    Args:
        beta2: of the running mean of squared gradients; published: 0.999.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in learning if p.dim() <= 1], "weight_decay": 0.0},
    ]
    on_gpu = any(parameter.is_cuda for parameter in learning)
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=0.0, betas=(BETA1, beta2), eps=EPSILON, fused=on_gpu)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate
