"""Arithmetic and memory by sizes, against what is really there."""

import pytest
import torch
from torch import nn

from model.configuration import VideoXLConfig
from model.training.flops import forward_flops
from model.training.lora import add_adapters
from model.training.memory_estimate import estimate_memory, weight_counts
from model.training.optimiser import make_optimiser
from model.training.ranks import Ranks
from model.training.train_choices import TrainChoices
from model.training.trained_parts import freeze_all_but
from model.training.training_step import StepSettings, forward_backward, update
from model.window_layout import Text, Visual, plan_steps
from tests.model.tiny_models import pixels, tiny_model
from tests.model.training.made_batches import made_row

ALONE = Ranks(0, 1, torch.device("cpu"), None)


def choices(**changes) -> TrainChoices:
    return TrainChoices.model_validate({
        "shards": ["none"], "out": "run", "init": "somewhere", "precision": "float32", **changes})


def test_linear_arithmetic_is_that_of_the_layers_that_run(model):
    """Every linear layer and the patch convolution, counted as they are called."""
    counted = dict.fromkeys(("vision", "projector", "linear", "head"), 0.0)
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            what = ("head" if "lm_head" in name else "projector" if "projector" in name else
                    "vision" if "vision" in name else "linear")

            def count(layer, given, out, what=what):
                counted[what] += 2.0 * layer.weight.numel() * out.numel() / layer.weight.shape[0]

            hooks.append(module.register_forward_hook(count))
    ids = torch.tensor([[5, 6, 299, 7, 8, 9]])
    with torch.no_grad():
        model(ids, pixel_values=pixels(14), ratio=4)
    for hook in hooks:
        hook.remove()
    flops = forward_flops(model.config, plan_steps([Text(2), Visual(56, (4, 4)), Text(3)], 48), 14, 6)
    assert flops.linear == counted["linear"]
    assert flops.projector == pytest.approx(counted["projector"] * 16 / 16)
    assert flops.head == counted["head"]
    vision = model.config.vision_config
    pairs = 14 * 1 * 4 * vision.hidden_size * 17 * 17  # one layer, 16 patches and the class token
    assert flops.vision == counted["vision"] + pairs


def test_a_step_computes_logits_of_answers_alone():
    """What the head is given in a forward pass of training, and what is counted for it."""
    model = tiny_model().train()
    given = []
    model.lm_head.register_forward_hook(lambda head, hidden, logits: given.append(logits.numel() // logits.shape[-1]))
    row = made_row(1, questions=3)  # answers of one, two and three words behind questions of three
    forward_backward(model, [row], lambda _: [4], StepSettings(ratios=[4]), ALONE)
    assert given == [6]
    text = model.config.text_config
    flops = forward_flops(model.config, plan_steps([Text(3)], 48), 0, row.answer_tokens)
    assert flops.head == 6 * 2 * text.vocab_size * text.hidden_size


def test_attention_arithmetic_counts_visible_pairs(model):
    """One window alone: 60 slots of which slot i sees i + 1, two products of the model's width each."""
    text = model.config.text_config
    flops = forward_flops(model.config, plan_steps([Visual(48, (4,))], 48), 12, 0)
    assert flops.attention == 4 * text.hidden_size * text.num_hidden_layers * 60 * 61 / 2


def test_a_mode_is_charged_with_what_it_needs(model):
    flops = forward_flops(model.config, plan_steps([Text(2), Visual(48, (4,)), Text(3)], 48), 12, 5)
    forward = flops.vision + flops.projector + flops.linear + flops.attention + flops.head
    assert flops.training(["vision", "projector", "vst", "language_model"]) == pytest.approx(3 * forward)
    assert flops.training(["projector"]) == pytest.approx(
        forward + flops.projector + flops.linear + 2 * flops.attention + flops.head)


def test_published_weights_are_counted():
    """Sizes of Qwen2-7B and CLIP-L; 462,554,624 VST weights, 303,507,456 of the tower, 16,522,240 of the projector."""
    text = {"vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4}
    counts = weight_counts(VideoXLConfig(text_config=text))
    assert counts == {
        "vst": 462_554_624, "vision": 303_507_456, "projector": 16_522_240, "language_model": 7_615_616_512}


@pytest.mark.parametrize("lora", [0, 2])
def test_weights_gradients_and_optimiser_take_what_is_estimated(lora):
    chosen = choices(train=["projector", "vst"] if lora else ["projector", "vst", "language_model"], lora_rank=lora)
    model = tiny_model().train()
    freeze_all_but(model, chosen.parts)
    if lora:
        add_adapters(model, lora, 16.0)
    optimiser = make_optimiser(model, 0.0)
    forward_backward(model, [made_row(1)], lambda _: [4], StepSettings(ratios=[4]), ALONE)
    gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    update(model, optimiser, 1.0)
    moments = sum(state[name].nbytes for state in optimiser.state.values() for name in ("exp_avg", "exp_avg_sq"))
    estimate = estimate_memory(model.config, chosen, 1, 5, 20)
    assert estimate.weights == sum(parameter.nbytes for parameter in model.parameters())
    assert estimate.gradients == gradients
    assert estimate.optimiser == moments


def test_ranks_share_and_recomputing_saves(model):
    def of(ranks: int = 1, **changes):
        return estimate_memory(model.config, choices(**changes), ranks, 400, 500)

    assert of(ranks=4).weights == of().weights / 4
    assert of(keep_activations=True).activations > 2 * of().activations
    assert of(train=["projector"]).optimiser < of().optimiser / 10
    assert of(precision="bfloat16").total < of().total
    assert "GB" in of().line() or "MB" in of().line()
