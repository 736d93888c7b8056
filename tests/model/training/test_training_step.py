"""Loss and gradients of a step: against the published numbers, packed against unpacked, cut up any way."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.check_golden import NOISE
from model.convert import load_published
from model.golden_cases import GoldenFolder
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.published_names import our_name
from model.ratio_choice import DrawnRatio
from model.training.batch import Batch
from model.training.drawn_ratios import drawn_ratios
from model.training.filler_row import with_filler_row
from model.training.optimiser import BETA1, make_optimiser, set_learning_rate
from model.training.ranks import Ranks
from model.training.training_step import StepSettings, checkpoint_activations, forward_backward, update
from tests.model.tiny_models import tiny_model
from tests.model.training.made_batches import joined, made_row, unpacked

ALONE = Ranks(0, 1, torch.device("cpu"), None)
GOLDEN = Path(__file__).parents[1] / "golden"


def step(
    model: VideoXLForConditionalGeneration, batches: list[Batch], ratio: int = 4, **settings
) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of one step at a fixed ratio."""
    model.zero_grad(set_to_none=True)
    how = StepSettings(ratios=[ratio], **settings)
    result = forward_backward(model, batches, lambda batch: [ratio] * len(batch.input_ids), how, ALONE)
    return result.loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(found: tuple[float, dict[str, Tensor]], expected: tuple[float, dict[str, Tensor]], rtol=1e-4) -> None:
    """Losses and every gradient agree."""
    assert found[0] == pytest.approx(expected[0], rel=rtol)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= rtol * gradient.norm() + 1e-7, name


@pytest.mark.parametrize("windows_per_pass", [None, 2, 1])
@pytest.mark.parametrize("case_name", ["train_F20_answer", "train_F25_qwen"])
def test_a_step_gives_the_published_loss_and_gradients(case_name, windows_per_pass):
    folder = GoldenFolder(GOLDEN)
    case = folder.cases[case_name]
    model = load_published(GOLDEN / "published", GOLDEN / "clip").train()
    checkpoint_activations(model)
    ids = folder.ids(case, model.config.media_token_id)
    batch = Batch(
        ids, torch.ones_like(ids), torch.tensor([case["labels"]]), torch.zeros_like(ids), folder.pixels(case),
        torch.tensor([case["F"]]), (("golden",),))
    loss, gradients = step(model, [batch], case["ratio"], windows_per_pass=windows_per_pass)
    assert loss == pytest.approx(case["loss"], abs=folder.tolerance("loss_atol"))
    compared = 0
    for published, norm in case["grad_norms"].items():
        gradient = gradients.get(our_name(published))
        if norm is None or norm < NOISE:
            assert gradient is None or gradient.norm() < NOISE
            continue
        assert gradient.norm().item() == pytest.approx(norm, rel=folder.tolerance("grad_rel_l2"))
        if folder.has(f"{case_name}.grad.{published}"):
            stored = folder.tensor(f"{case_name}.grad.{published}")
            assert (gradient - stored).norm() <= folder.tolerance("grad_rel_l2") * stored.norm()
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("average", ["token", "sample"])
@pytest.mark.parametrize("label_shared", [False, True])
def test_packed_questions_teach_what_they_teach_one_by_one(model, average, label_shared):
    rows = [made_row(1, 3, 14, label_shared), made_row(2, 1, 5, label_shared), made_row(3, 2, 0, label_shared)]
    packed = step(model, [joined(rows)], loss_average=average)
    one_by_one = step(model, [one for row in rows for one in unpacked(row)], loss_average=average)
    assert_same(packed, one_by_one)


def test_a_step_may_be_cut_into_any_batches(model):
    rows = [made_row(number, 1 + number % 3, number % 4 * 3) for number in range(6)]
    whole = step(model, [joined(rows)])
    assert_same(step(model, [joined(rows[:1]), joined(rows[1:4]), joined(rows[4:])]), whole)
    filler = Batch(*(torch.tensor([[value] * 3]) for value in (5, 1, -100, 0)), None, None, ((),))
    assert_same(step(model, [joined([*rows[:3], filler]), joined(rows[3:]), filler]), whole)


def test_the_loss_is_the_mean_over_the_answer_tokens_of_the_step(model):
    """Not the mean of the batches' means; `sample` is the mean of the samples' means."""
    rows = [made_row(1, 1, 4), made_row(2, 3, 4)]
    alone = {one.sample_ids[0][0]: (step(model, [one])[0], one.answer_tokens) for row in rows for one in unpacked(row)}
    tokens = sum(count for _, count in alone.values())
    by_token = sum(loss * count for loss, count in alone.values()) / tokens
    by_sample = sum(loss for loss, _ in alone.values()) / len(alone)
    assert abs(by_token - by_sample) > 1e-3
    assert step(model, rows)[0] == pytest.approx(by_token, rel=1e-5)
    assert step(model, rows, loss_average="sample")[0] == pytest.approx(by_sample, rel=1e-5)


def test_recomputed_activations_change_nothing(model, fresh_model):
    """Ratios drawn anew for each window: the second forward pass must use those of the first."""
    fresh_model.load_state_dict(model.state_dict())
    checkpoint_activations(fresh_model.train())
    batch = joined([made_row(1, 2, 30), made_row(2, 1, 25)])
    found = []
    for one in (model, fresh_model):
        one.zero_grad(set_to_none=True)
        forward_backward(one, [batch], lambda b: drawn_ratios(b, [2, 4, 8, 16], 3, 5), StepSettings(ratios=[2]), ALONE)
        found.append({name: p.grad for name, p in one.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_ratios_hang_on_seed_step_and_samples_alone():
    def drawn(batch: Batch, row: int, seed: int = 1, at: int = 2) -> list[int]:
        choice = drawn_ratios(batch, [2, 4, 8, 12, 16], seed, at)[row]
        return [choice.draw(48) for _ in range(30)]

    rows = [made_row(number) for number in range(3)]
    assert drawn(joined(rows), 2) == drawn(joined(rows[2:]), 0) == drawn(joined(rows[1:]), 1)
    others = [drawn(joined(rows), 1), drawn(joined(rows), 2, seed=2), drawn(joined(rows), 2, at=3)]
    assert all(other != drawn(joined(rows), 2) for other in others)
    assert set(drawn(joined(rows), 2)) == {2, 4, 8, 12, 16}


@pytest.mark.parametrize("choices", [[2, 4], [16], [1], [1, 8]])
@pytest.mark.parametrize("frames", [0, 6])
def test_a_filler_row_uses_every_weight_and_teaches_nothing(choices, frames):
    model = tiny_model()
    batch = made_row(1, 2, frames)
    longer, ratios = with_filler_row(batch, [4], choices, model.config)
    how = StepSettings(ratios=choices)
    model.zero_grad(set_to_none=True)
    forward_backward(model, [longer], lambda _: ratios, how, ALONE)
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    loss, expected = step(model, [batch])
    assert loss > 0
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected.get(name, torch.zeros_like(gradient)), rtol=1e-4, atol=1e-6)
    used = {name for name, gradient in found.items() if gradient is not None}
    assert any("vision_tower.encoder.layers.0" in name for name in used)
    assert any("vst_k_proj" in name for name in used) == (frames > 0 or max(choices) > 1)


@pytest.mark.parametrize("b2", [0.95, 0.999])
def test_weights_that_a_step_does_not_use_move_on_as_adamw_says(b2):
    """Words alone, after a step with a video: the projector's second gradient is zero."""
    model = tiny_model().train()
    optimiser = make_optimiser(model, weight_decay=0.1, beta2=b2)
    rate, b1, epsilon = 1e-2, BETA1, 1e-8
    set_learning_rate(optimiser, rate)
    weight = next(parameter for name, parameter in model.named_parameters()
                  if name.startswith("model.projector.") and parameter.dim() == 2)
    expected = weight.detach().double()
    how = StepSettings(ratios=[4])
    first = second = 0.0
    for number, row in enumerate((made_row(1), made_row(2, frames=0), made_row(3, frames=0)), start=1):
        forward_backward(model, [row], lambda _: [4], how, ALONE)
        gradient = weight.grad.double() if weight.grad is not None else torch.zeros_like(expected)
        assert bool(gradient.any()) == (number == 1)
        update(model, optimiser, clip_norm=1e9)
        first, second = b1 * first + (1 - b1) * gradient, b2 * second + (1 - b2) * gradient**2
        step_size = (first / (1 - b1**number)) / ((second / (1 - b2**number)).sqrt() + epsilon)
        expected = (1 - rate * 0.1) * expected - rate * step_size
        torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-4, atol=1e-6)


def test_a_drawn_ratio_of_the_list_is_used_in_each_window(model):
    batch = made_row(4, 1, 40)  # four windows
    choices = drawn_ratios(batch, [2, 4, 8, 16], 0, 0)
    again = [DrawnRatio((2, 4, 8, 16), choices[0].copy().generator)]
    out = model(batch.input_ids, pixel_values=batch.pixel_values, ratio=choices)
    draws = [again[0].draw(tokens) for tokens in (48, 48, 48, 16)]
    assert list(out.ratios[0]) == draws
