"""The loop, groups of any size and one pass are one function, whatever the attention implementation."""

import pytest
import torch
from tiny_models import pixels, tiny_model

MARK = 299
SIZES = [29, 12, 4]  # frames: 2 full windows and a short one, one full window, a short one


def batch(dtype: torch.dtype = torch.float64) -> dict:
    """A video in the middle, text and a video at the end, a video in front; padded on the left."""
    rows = [[5, 6, MARK, 7, 8, 9], [1, 2, 3, 4, MARK], [MARK, 11, 12]]
    ids = torch.tensor([[0] * (6 - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (6 - len(row)) + [1] * len(row) for row in rows])
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": pixels(sum(SIZES), dtype=dtype),
        "media_sizes": SIZES,
    }


def logits_and_gradients(model, implementation: str, windows, inputs: dict, ratio) -> tuple[torch.Tensor, list]:
    # The tower's eager attention has a float32 softmax, so the tower stays as it is.
    model.set_attn_implementation({"text_config": implementation, "vision_config": "sdpa"})
    model.zero_grad(set_to_none=True)
    logits = model(**inputs, ratio=ratio, windows_per_pass=windows).logits
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1), dtype=logits.dtype)
    (logits * weights).sum().backward()
    return logits.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.fixture(scope="module")
def double_model():
    return tiny_model().double()


@pytest.mark.parametrize("ratio", [2, 4, 8, 12, 16, [[2, 8, 4], 16, 2]], ids=str)
def test_all_groups_agree_in_float64_values_and_gradients(double_model, ratio):
    inputs = batch()
    expected, gradients = logits_and_gradients(double_model, "eager", 1, inputs, ratio)
    for implementation in ("eager", "sdpa"):
        for windows in (1, 2, 3, None):
            logits, found = logits_and_gradients(double_model, implementation, windows, inputs, ratio)
            assert (logits - expected).abs().max() < 1e-10
            assert len(found) == len(gradients)
            for a, b in zip(found, gradients, strict=True):
                assert (a - b).abs().max() <= 1e-10 * max(1, b.abs().max())


@pytest.mark.parametrize("ratio", [2, 4, 8, 12, 16, [[2, 8, 4], 16, 2]], ids=str)
def test_flex_agrees_in_float64(double_model, ratio):
    """Forward only: flex attention has no backward on the CPU."""
    inputs = batch()
    with torch.no_grad():
        double_model.set_attn_implementation({"text_config": "eager", "vision_config": "sdpa"})
        expected = double_model(**inputs, ratio=ratio, windows_per_pass=1).logits
        double_model.set_attn_implementation({"text_config": "flex_attention", "vision_config": "sdpa"})
        for windows in (1, 2, None):
            assert (double_model(**inputs, ratio=ratio, windows_per_pass=windows).logits - expected).abs().max() < 1e-10


def test_without_gradients_the_same(double_model):
    """Keys run by run, merged by log-sum-exp, against one softmax."""
    inputs = batch()
    expected, _ = logits_and_gradients(double_model, "eager", 1, inputs, 4)
    double_model.set_attn_implementation({"text_config": "sdpa", "vision_config": "sdpa"})
    with torch.no_grad():
        for windows in (1, 2, 3, None, "default"):
            assert (double_model(**inputs, ratio=4, windows_per_pass=windows).logits - expected).abs().max() < 1e-10


@pytest.mark.parametrize("ratio", [2, 16, [[2, 8, 4], 16, 2]], ids=str)
def test_all_groups_agree_in_float32(model, ratio):
    """Within the tolerances of the golden numbers."""
    inputs = batch(torch.float32)
    expected, gradients = logits_and_gradients(model, "eager", 1, inputs, ratio)
    for windows in (1, 2, None):
        logits, found = logits_and_gradients(model, "sdpa", windows, inputs, ratio)
        assert (logits - expected).abs().max() < 5e-5
        for a, b in zip(found, gradients, strict=True):
            # Smaller gradients (the tower's key biases) are rounding noise.
            assert b.norm() < 1e-4 or (a - b).norm() <= 1e-4 * b.norm()


def test_long_steps_have_a_call_each(double_model, monkeypatch):
    """The path that real window sizes take in training, forced here by a limit of nothing."""
    inputs = batch()
    expected, gradients = logits_and_gradients(double_model, "eager", 1, inputs, 8)
    monkeypatch.setattr("model.attention_batches.MASK_LIMIT", 0)
    for windows in (1, 2, None):
        logits, found = logits_and_gradients(double_model, "sdpa", windows, inputs, 8)
        assert (logits - expected).abs().max() < 1e-10
        for a, b in zip(found, gradients, strict=True):
            assert (a - b).abs().max() <= 1e-10 * max(1, b.abs().max())


def test_gradient_checkpointing_changes_nothing():
    model = tiny_model().double().train()
    inputs = batch()
    expected, gradients = logits_and_gradients(model, "sdpa", None, inputs, 4)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for windows in (1, 2, None):
        logits, found = logits_and_gradients(model, "sdpa", windows, inputs, 4)
        assert (logits - expected).abs().max() < 1e-10
        for a, b in zip(found, gradients, strict=True):
            assert (a - b).abs().max() <= 1e-10 * max(1, b.abs().max())
