"""What a run starts from."""

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPVisionModel, Qwen2ForCausalLM

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.training.initial_model import InitialModelError, initial_config, initial_model, initial_processor
from model.training.small_tokenizer import learn_tokenizer
from model.training.train_choices import TrainChoices
from model.vision import patch_features
from tests.model.tiny_models import byte_tokenizer, pixels, tiny_config
from tests.model.training.small_runs import TINY

TEXTS = ["What came first?", "The red star came first.", "<not a mark>", "Ünïcode"]


def choices(**changes) -> TrainChoices:
    return TrainChoices.model_validate({**TINY, "shards": ["none"], "out": "run", **changes})


def test_scratch_is_drawn_from_the_seed():
    processor = initial_processor(choices(), lambda: TEXTS)
    first, again = (initial_model(choices(), processor) for _ in range(2))
    other = initial_model(choices(seed=4), processor)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
    assert first.config.media_token_id == processor.media_token_id == len(processor.tokenizer)
    layer = first.model.language_model.layers[1].self_attn
    assert torch.equal(layer.vst_k_proj.weight, layer.k_proj.weight)


def test_bfloat16_holds_everything_in_16_bit():
    model = initial_model(choices(precision="bfloat16"), initial_processor(choices(), lambda: TEXTS))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_no_text_is_unknown_to_a_tokenizer_made_from_others():
    tokenizer = learn_tokenizer(TEXTS, 400)
    again = learn_tokenizer(TEXTS, 400)
    for text in ("Something else: 😀 \n done", *TEXTS):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert again(text, add_special_tokens=False)["input_ids"] == ids
    assert len(tokenizer(TEXTS[1])["input_ids"]) < len(TEXTS[1]) / 2
    assert len(tokenizer) <= 400
    assert len(tokenizer("<|im_start|>user<|im_end|>", add_special_tokens=False)["input_ids"]) <= 6


@pytest.fixture
def parts(tmp_path):
    """A Qwen2 with a tokenizer and a CLIP, each in a folder."""
    config = tiny_config()
    torch.manual_seed(0)
    language, tower = Qwen2ForCausalLM(config.text_config), CLIPVisionModel(config.vision_config)
    language.save_pretrained(tmp_path / "qwen")
    byte_tokenizer().save_pretrained(tmp_path / "qwen")
    tower.save_pretrained(tmp_path / "clip")
    chosen = choices(
        init="parts", language_model=str(tmp_path / "qwen"), vision_tower=str(tmp_path / "clip"),
        sizes={"window_tokens": 48, "ratios": [2, 4], "default_ratio": 4}, ratios=[2, 4])
    return chosen, language.eval(), tower.eval()


def test_parts_keep_what_they_knew(parts):
    chosen, language, tower = parts
    processor = initial_processor(chosen, list)
    model = initial_model(chosen, processor).eval()
    ids, frames = torch.tensor([[5, 9, 77, 200, 31]]), pixels(2)
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, language(ids).logits, rtol=1e-4, atol=1e-5)
        assert torch.equal(
            patch_features(model.model.vision_tower, frames, 1), patch_features(tower, frames, 1))
    end = processor.tokenizer.eos_token_id
    inner = model.model.language_model
    assert torch.equal(inner.vst_embedding.weight[0], inner.embed_tokens.weight[end])
    assert initial_config(chosen).window_tokens == 48


def test_the_tower_is_taken_out_of_a_whole_clip_and_out_of_nothing_else(parts, tmp_path):
    chosen, _, tower = parts
    words = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
             "num_attention_heads": 2}
    whole = CLIPModel(CLIPConfig(vision_config=tower.config.to_dict(), text_config=words))
    whole.vision_model.load_state_dict(tower.state_dict())
    whole.save_pretrained(tmp_path / "clip")  # as CLIP is published: words and pictures in one file
    processor = initial_processor(chosen, list)
    model = initial_model(chosen, processor).eval()
    with torch.no_grad():
        assert torch.equal(
            patch_features(model.model.vision_tower, pixels(2), 1), patch_features(tower, pixels(2), 1))
    save_file({"other": torch.zeros(1)}, tmp_path / "clip" / "model.safetensors", {"format": "pt"})
    with pytest.raises(InitialModelError, match="clip is no CLIP: it lacks embeddings"):
        initial_model(chosen, processor)


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InitialModelError, match=r"nowhere: no model there"):
        initial_model(choices(init=str(tmp_path / "nowhere")), None)


def test_a_model_without_tokenizer_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    with pytest.raises(InitialModelError, match="no tokenizer there"):
        initial_processor(choices(init=str(tmp_path)), list)


def test_a_model_that_misses_weights_is_refused(model, processor, tmp_path):
    model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(InitialModelError):
        initial_model(choices(init=str(tmp_path)), processor)


def test_a_video_xl_goes_on_as_it_is(model, processor, tmp_path):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    chosen = choices(init=str(tmp_path))
    again = initial_model(chosen, initial_processor(chosen, list))
    assert isinstance(again, VideoXLForConditionalGeneration)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    # In the file they lie anywhere; a matrix product has the same bits for the same alignment only.
    assert all(parameter.data_ptr() % 64 == 0 for parameter in again.parameters())


@pytest.mark.parametrize(("part", "sizes", "fault"), [
    ("text", {"num_hidden_layer": 1, "tie_word_embeddings": True}, "sizes.text: num_hidden_layer: no field of Qwen2"),
    ("text", {"vocab_size": 300}, "sizes.text: vocab_size: no field of Qwen2Config that can be chosen"),
    ("vision", {"hiden_size": 16}, "sizes.vision: hiden_size: no field of CLIPVisionConfig"),
    (None, {"window_token": 32, "tie_word_embeddings": True}, "sizes: tie_word_embeddings, window_token: no field"),
])
def test_sizes_that_are_no_fields_are_refused(part, sizes, fault):
    changed = TINY["sizes"] | (sizes if part is None else {part: TINY["sizes"][part] | sizes})
    with pytest.raises(InitialModelError, match=fault):
        initial_config(choices(sizes=changed))


def test_a_size_of_either_kind_is_taken():
    sizes = TINY["sizes"] | {"text": TINY["sizes"]["text"] | {"tie_word_embeddings": True, "rope_theta": 5e3}}
    assert initial_config(choices(sizes=sizes)).tie_word_embeddings


@pytest.mark.parametrize("written", ["{", '{"model_type": "qwen2"}', None])
def test_a_folder_with_another_model_is_refused_before_its_weights_are_read(tmp_path, written):
    if written is None:
        Qwen2ForCausalLM(tiny_config().text_config).save_pretrained(tmp_path)
    else:
        (tmp_path / "config.json").write_text(written)
    with pytest.raises(InitialModelError, match=r"not a valid JSON|of type 'qwen2', not 'video_xl'"):
        initial_config(choices(init=str(tmp_path)))


@pytest.mark.parametrize(("changes", "fault"), [
    ({"train": []}, "train: nothing learns"), ({"sizes": TINY["sizes"] | {"text": None}}, "sizes with text and vision"),
])
def test_choices_that_leave_nothing_are_refused(changes, fault):
    with pytest.raises(ValidationError, match=fault):
        choices(**changes)
    assert choices(train=[], lora_rank=2).parts == []
