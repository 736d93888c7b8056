"""Low-rank adapters (LoRA, arXiv 2106.09685) on the language model, by peft."""

from collections.abc import Iterator

from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

ADAPTED = r"model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
"""The linear layers that are adapted; the projections of the VSTs are a part of their own."""

ADAPTER = "default"


def add_adapters(model: nn.Module, rank: int, alpha: float) -> None:
    """Put adapters beside the linear layers of the language model; they begin as nothing, and learn.

    What they begin with comes from torch's generator.
    """
    learns = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=ADAPTED)
    inject_adapter_in_model(settings, model, ADAPTER)
    # peft freezes everything else; what learnt before goes on learning.
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_adapter(name) or learns[plain_name(name)])
    for parameter_name, parameter in model.named_parameters():
        if is_adapter(parameter_name):
            parameter.data = parameter.data.to(next(model.parameters()).dtype)


def is_adapter(name: str) -> bool:
    """Whether a weight is an adapter's."""
    return ".lora_" in name


def plain_name(name: str) -> str:
    """A weight's name in the model without adapters."""
    return name.replace(".base_layer.", ".")


def adapters_of(model: nn.Module) -> Iterator[tuple[str, Tensor, Tensor, float]]:
    """For each adapted weight its plain name, A [rank, in], B [out, rank], and what their product counts."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A"):
            pair = module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight
            yield f"{name}.weight", *pair, module.scaling[ADAPTER]
