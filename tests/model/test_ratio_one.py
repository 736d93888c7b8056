"""Ratio 1: no compression."""

import pytest
import torch
from tiny_models import pixels, tiny_model
from transformers import Qwen2ForCausalLM

from model.window_layout import Text, Visual, plan_steps

MARK = 299


@pytest.mark.parametrize("frames", [3, 30])
@pytest.mark.parametrize("windows_per_pass", [None, 1, 2])
def test_without_compression_it_is_a_plain_language_model(model, frames, windows_per_pass):
    """transformers' Qwen2 with the same weights, fed text and visual tokens in one row."""
    config = model.config.text_config
    plain = Qwen2ForCausalLM(config).eval()
    weights = {name: value for name, value in model.model.language_model.state_dict().items() if "vst_" not in name}
    plain.model.load_state_dict(weights)
    plain.lm_head.load_state_dict(model.lm_head.state_dict())
    before, after = torch.tensor([5, 6, 7]), torch.tensor([8, 9, 10, 11])
    video = pixels(frames)
    with torch.no_grad():
        visual = model.model.encode(video)
        embed = plain.get_input_embeddings()
        expected = plain(inputs_embeds=torch.cat((embed(before), visual, embed(after)))[None]).logits[0, -4:]
        ids = torch.cat((before, torch.tensor([MARK]), after))[None]
        found = model(ids, pixel_values=video, ratio=1, windows_per_pass=windows_per_pass).logits[0, -4:]
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("frames", [5, 40])
def test_a_memory_without_compression_answers_alike(frames):
    model = tiny_model()
    before, after = torch.tensor([5, 6, 7]), torch.tensor([[8, 9, 10]])
    video = pixels(frames)
    ids = torch.cat((before, torch.tensor([MARK]), after[0]))[None]
    with torch.no_grad():
        whole = model(ids, pixel_values=video, ratio=1).logits[0, -3:]
        memory = model.compress(video, ratio=1, prefix_ids=before)
        asked = model(after, past_key_values=memory.cache()).logits[0]
    assert memory.close().positions_used == 3 + frames * 4
    torch.testing.assert_close(asked, whole, atol=2e-5, rtol=1e-4)


def test_a_window_may_be_kept_whole_beside_compressed_ones():
    steps = plan_steps([Text(2), Visual(20, (4, 1, 4)), Text(1)], 8)
    assert [(step.slots, step.first_rank, len(step.vst_slots)) for step in steps] == [
        (2, 0, 0), (10, 2, 2), (8, 4, 0), (5, 12, 1), (1, 13, 0)]
