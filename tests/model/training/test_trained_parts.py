"""What learns and what stays."""

from itertools import pairwise

import pytest
import torch

from model.training.learning_rate import learning_rate
from model.training.lora import add_adapters, is_adapter, plain_name
from model.training.optimiser import make_optimiser, set_learning_rate
from model.training.ranks import Ranks
from model.training.trained_parts import PARTS, freeze_all_but, part_of
from model.training.training_step import StepSettings, checkpoint_activations, forward_backward, update
from tests.model.tiny_models import tiny_model
from tests.model.training.made_batches import made_row

ALONE = Ranks(0, 1, torch.device("cpu"), None)


def changed_by_a_step(model, ratio: int = 4) -> set[str]:
    """Names of the weights that one step changes."""
    checkpoint_activations(model.train())
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimiser = make_optimiser(model, 0.0)
    set_learning_rate(optimiser, 1e-2)
    forward_backward(model, [made_row(1, 2, 14)], lambda _: [ratio], StepSettings(ratios=[ratio]), ALONE)
    update(model, optimiser, 1.0)
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


@pytest.mark.parametrize(
    "parts", [["projector"], ["vst", "projector"], ["language_model"], ["vision"], list(PARTS)], ids="-".join)
def test_only_the_parts_that_were_named_learn(parts):
    model = tiny_model()
    freeze_all_but(model, parts)
    changed = changed_by_a_step(model)
    assert {part_of(name) for name in changed} == set(parts)
    every = {name for name, _ in model.named_parameters() if part_of(name) in parts}
    # The tower's last layer is not read, keys have no use for a bias, and nobody looks at the last layer's summaries.
    idle = ("encoder.layers.1.", "post_layernorm", "k_proj.bias", "layers.2.self_attn.vst_q_proj")
    assert {name for name in every - changed if not any(part in name for part in idle)} == set()


def test_without_compression_the_projector_alone_can_learn():
    model = tiny_model()
    freeze_all_but(model, ["projector"])
    assert {part_of(name) for name in changed_by_a_step(model, ratio=1)} == {"projector"}


def test_adapters_learn_in_place_of_the_language_model():
    model = tiny_model()
    freeze_all_but(model, ["projector", "vst"])
    names = {name for name, _ in model.named_parameters()}
    add_adapters(model, 2, 16.0)
    assert {plain_name(name) for name, _ in model.named_parameters() if not is_adapter(name)} == names
    changed = changed_by_a_step(model)
    assert {part_of(name) for name in changed if not is_adapter(name)} == {"projector", "vst"}
    adapted = {name.split(".lora_")[0] for name in changed if is_adapter(name)}
    assert len(adapted) == 3 * 7  # layers, and q k v o gate up down
    assert not any("vst_" in name or "vision" in name for name in adapted)


def test_adapters_begin_as_nothing(model):
    adapted = tiny_model()
    add_adapters(adapted, 4, 8.0)
    row = made_row(1)
    with torch.no_grad():
        both = [one(row.input_ids, pixel_values=row.pixel_values, ratio=4).logits for one in (model, adapted)]
    assert torch.equal(*both)


def test_norms_and_biases_do_not_decay(model):
    groups = make_optimiser(model, 0.5).param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert all(parameter.dim() > 1 for parameter in groups[0]["params"])
    assert all(parameter.dim() == 1 for parameter in groups[1]["params"])


def test_the_rate_rises_straight_and_falls_by_half_a_cosine():
    rates = [learning_rate(step, 100, 2.0, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert 0 < rates[-1] < 0.001
    assert learning_rate(0, 1, 3.0, 0.0) == 3.0
