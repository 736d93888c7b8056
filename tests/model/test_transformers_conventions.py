"""What anyone used to transformers expects."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import pixels, tiny_config
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor, TextIteratorStreamer

import model as package
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.ratio_choice import DrawnRatio

MARK = 299


def video_inputs(frames: int = 20) -> dict:
    return {"input_ids": torch.tensor([[1, 2, MARK, 3, 4]]), "pixel_values": pixels(frames), "ratio": 4}


def pictures(frames: int = 5, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (frames, 40, 60, 3), dtype=np.uint8))


def test_importing_the_package_is_light():
    code = "import sys, model; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_saved_models_come_back_exactly(model, tmp_path):
    model.save_pretrained(tmp_path)
    package.register_auto_classes()
    for kind in (VideoXLForConditionalGeneration, AutoModel, AutoModelForImageTextToText):
        loaded = kind.from_pretrained(tmp_path)
        assert isinstance(loaded, VideoXLForConditionalGeneration)
        for (name, a), (other, b) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
            assert name == other
            assert torch.equal(a, b)
        assert isinstance(AutoConfig.from_pretrained(tmp_path), type(model.config))
        assert loaded.config.window_tokens == model.config.window_tokens
        with torch.no_grad():
            assert torch.equal(loaded(**video_inputs()).logits, model(**video_inputs()).logits)


def test_checkpoints_that_do_not_fit_are_refused(model, tmp_path):
    """transformers would fill them up with random numbers."""
    model.save_pretrained(tmp_path / "whole")
    weights = load_file(tmp_path / "whole" / "model.safetensors")

    def changed(name: str, new: dict) -> Path:
        folder = Path(shutil.copytree(tmp_path / "whole", tmp_path / name))
        (folder / "model.safetensors").unlink()
        save_file(new, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    load = VideoXLForConditionalGeneration.from_pretrained
    with pytest.raises(ValueError, match=r"norm.weight: missing"):
        load(changed("less", {key: t for key, t in weights.items() if not key.endswith("language_model.norm.weight")}))
    with pytest.raises(ValueError, match=r"extra: no such weight"):
        load(changed("more", {**weights, "extra": torch.zeros(2)}))
    with pytest.raises(RuntimeError, match=r"size mismatch|ignore_mismatched_sizes"):
        load(changed("other", {**weights, "lm_head.weight": torch.zeros(3, 3)}))
    damaged = changed("damaged", weights) / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:4000])
    with pytest.raises(ValueError, match=r"damaged"):
        load(damaged.parent)
    with pytest.raises(ValueError, match=r"type 'qwen2'.*model.convert"):
        load(Path(__file__).parent / "golden" / "published")


@pytest.mark.parametrize("implementation", ["eager", "sdpa", "flex_attention"])
def test_attention_is_chosen_on_loading(model, tmp_path, implementation):
    model.save_pretrained(tmp_path)
    loaded = VideoXLForConditionalGeneration.from_pretrained(tmp_path, attn_implementation=implementation)
    assert loaded.config.text_config._attn_implementation == implementation
    with torch.no_grad():
        assert (loaded(**video_inputs()).logits - model(**video_inputs()).logits).abs().max() < 5e-5


def test_sixteen_bit_models_run(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = VideoXLForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert loaded.dtype == torch.bfloat16
    out = loaded.generate(**video_inputs(), max_new_tokens=3)
    assert out.shape == (1, 8)


def test_configuration_survives_json(tmp_path):
    config = tiny_config(default_ratio=[2, 4], vision_select_layer=-1)
    config.save_pretrained(tmp_path)
    again = type(config).from_pretrained(tmp_path)
    assert again.to_dict() == config.to_dict()


@torch.no_grad()
def test_greedy_generation_is_the_argmax_of_forward(model):
    inputs = video_inputs()
    new = model.generate(**inputs, max_new_tokens=6, do_sample=False)[0, 5:]
    ids = inputs["input_ids"]
    for token in new:
        logits = model(ids, pixel_values=inputs["pixel_values"], ratio=4).logits[0, -1]
        assert logits.argmax() == token
        ids = torch.cat((ids, token.view(1, 1)), 1)


def test_generation_without_a_cache_gives_the_same(model):
    cached = model.generate(**video_inputs(), max_new_tokens=5, do_sample=False)
    assert torch.equal(cached, model.generate(**video_inputs(), max_new_tokens=5, do_sample=False, use_cache=False))


def test_a_padded_batch_generates_what_each_sample_does_alone(model):
    ids = torch.tensor([[0, 0, 1, 2, 3], [1, 2, MARK, 3, 4], [0, MARK, 5, MARK, 6]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1] * 5, [0, 1, 1, 1, 1]])
    media = [pixels(20), pixels(3, seed=1), pixels(9, seed=2)]
    together = model.generate(
        input_ids=ids,
        attention_mask=mask,
        pixel_values=torch.cat(media),
        media_sizes=[20, 3, 9],
        ratio=[2, 4, 2],
        max_new_tokens=6,
        do_sample=False,
    )[:, 5:]
    alone = [
        model.generate(input_ids=ids[:1, 2:], max_new_tokens=6, do_sample=False)[0, 3:],
        model.generate(input_ids=ids[1:2], pixel_values=media[0], ratio=4, max_new_tokens=6, do_sample=False)[0, 5:],
        model.generate(
            input_ids=ids[2:, 1:],
            pixel_values=torch.cat(media[1:]),
            media_sizes=[3, 9],
            ratio=2,
            max_new_tokens=6,
            do_sample=False,
        )[0, 4:],
    ]
    assert torch.equal(together, torch.stack(alone))


def test_sampling_follows_the_seed_and_gives_several_sequences(model):
    settings = {"max_new_tokens": 5, "do_sample": True, "num_return_sequences": 3, "top_k": 0}
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(model.generate(**video_inputs(), **settings))
    assert found[0].shape == (3, 10)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_several_sequences_of_a_batch_keep_their_media(model):
    ids = torch.tensor([[1, MARK, 2, MARK], [3, 4, 5, 6], [MARK, 7, 8, 9]])
    video = pixels(12)
    for media in ({"pixel_values": video}, {"visual_tokens": model.model.encode(video).detach()}):
        settings = {"media_sizes": [3, 4, 5], "ratio": [2, 2, 4], "max_new_tokens": 3, "do_sample": False}
        one = model.generate(input_ids=ids, **media, **settings)
        two = model.generate(input_ids=ids, **media, **settings, num_beams=2, num_return_sequences=2)
        best = model.generate(input_ids=ids, **media, **settings, num_beams=2)
        assert two.shape == (6, 7)
        assert torch.equal(two[::2], best)
        assert torch.equal(one[:, :4], best[:, :4])


def test_a_given_cache_is_left_alone_without_use_cache(model):
    memory = model.compress(pixels(20), ratio=4, prefix_ids=[1])
    cache = memory.cache()
    with torch.no_grad():
        first = model(torch.tensor([[5, 6]]), past_key_values=cache, use_cache=False).logits
        again = model(torch.tensor([[5, 6]]), past_key_values=cache, use_cache=False).logits
    assert torch.equal(first, again)
    assert cache.columns == 0


def test_beam_search_finds_what_is_at_least_as_likely(model):
    def score(ids: torch.Tensor) -> float:
        with torch.no_grad():
            logits = model(ids, pixel_values=pixels(20), ratio=4).logits[0, 4:-1].log_softmax(-1)
        return logits.gather(1, ids[0, 5:, None]).sum().item()

    greedy = model.generate(**video_inputs(), max_new_tokens=4, do_sample=False)
    beams = model.generate(**video_inputs(), max_new_tokens=4, do_sample=False, num_beams=4)
    assert score(beams) >= score(greedy) - 1e-4


def test_generation_streams(model, processor):
    streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, timeout=60)
    settings = {**video_inputs(), "max_new_tokens": 6, "do_sample": False, "streamer": streamer}
    thread = threading.Thread(target=model.generate, kwargs=settings)
    thread.start()
    text = "".join(streamer)
    thread.join()
    new = model.generate(**video_inputs(), max_new_tokens=6, do_sample=False)[0, 5:]
    assert text == processor.tokenizer.decode(new)


def test_generation_tells_the_ratios_it_drew(model):
    choice = DrawnRatio((2, 4, 8), np.random.default_rng(3))
    inputs = {**video_inputs(40), "ratio": choice.copy()}
    drawn = model.generate(**inputs, max_new_tokens=2, return_dict_in_generate=True).past_key_values.streams[0].ratios
    memory = model.compress(pixels(40), ratio=choice, prefix_ids=[1])
    assert len(set(drawn)) > 1
    assert memory.cache().streams[0].ratios == drawn


def test_calls_go_on_from_a_cache(model):
    first = model.generate(**video_inputs(), max_new_tokens=3, do_sample=False, return_dict_in_generate=True)
    longer = model.generate(**video_inputs(), max_new_tokens=6, do_sample=False)
    rest = model.generate(
        input_ids=first.sequences, past_key_values=first.past_key_values, max_new_tokens=3, do_sample=False
    )
    assert torch.equal(rest, longer)


def test_the_processor_survives_saving(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    package.register_auto_classes()
    for kind in (VideoXLProcessor, AutoProcessor):
        again = kind.from_pretrained(tmp_path)
        assert isinstance(again, VideoXLProcessor)
        for name in ("size", "media_token_id", "grid_pinpoints", "chat_template"):
            assert getattr(again, name) == getattr(processor, name)
        a, b = (p("a <video> b", videos=[pictures()]) for p in (processor, again))
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_the_chat_template_is_the_published_prompt(processor):
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What happens?"}]}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert text == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<video>\nWhat happens?"
        "<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_chat_template_takes_frames_and_images(processor, model):
    chat = [
        {
            "role": "user",
            "content": [
                {"type": "video", "video": np.stack(pictures(4))},
                {"type": "image", "image": Image.new("RGB", (60, 30))},
                {"type": "text", "text": "Why?"},
            ],
        }
    ]
    inputs = processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    by_hand = processor(text, videos=[iter(pictures(4))], images=[Image.new("RGB", (60, 30))])
    by_hand["pixel_values"][:4] = inputs["pixel_values"][:4]
    assert inputs["media_sizes"].tolist() == [4, len(processor.image_pixels(Image.new("RGB", (60, 30))))]
    assert all(torch.equal(inputs[key], by_hand[key]) for key in by_hand)
    assert model.generate(**inputs, ratio=4, max_new_tokens=2).shape[1] == inputs["input_ids"].shape[1] + 2


def test_a_memory_is_asked_in_words(fresh_model, processor):
    fresh_model.processor = processor
    video = pictures(13)
    memory = fresh_model.compress(video, ratio=4)
    answers = [fresh_model.answer(memory, "What?", max_new_tokens=5, do_sample=False) for _ in range(2)]
    assert answers[0] == answers[1]
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What?"}]}]
    prompt = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    inputs = processor(prompt, videos=[video])
    new = fresh_model.generate(**inputs, ratio=4, max_new_tokens=5, do_sample=False)
    start = inputs["input_ids"].shape[1]
    assert answers[0] == processor.tokenizer.decode(new[0, start:], skip_special_tokens=True).strip()


def test_a_device_map_is_obeyed(model, tmp_path):
    pytest.importorskip("accelerate", reason="device maps need accelerate")
    model.save_pretrained(tmp_path)
    loaded = VideoXLForConditionalGeneration.from_pretrained(tmp_path, device_map={"": "cpu"})
    with torch.no_grad():
        assert torch.equal(loaded(**video_inputs()).logits, model(**video_inputs()).logits)
    text = model.config.text_config.num_hidden_layers - 1
    offloaded = VideoXLForConditionalGeneration.from_pretrained(
        tmp_path,
        device_map={
            "model.vision_tower": "cpu",
            "model.projector": "cpu",
            "model.language_model.embed_tokens": "cpu",
            "model.language_model.vst_embedding": "cpu",
            **{f"model.language_model.layers.{i}": "cpu" for i in range(text)},
            f"model.language_model.layers.{text}": "disk",
            "model.language_model.norm": "cpu",
            "lm_head": "cpu",
        },
        offload_folder=tmp_path / "offload",
    )
    assert (
        offloaded.generate(**video_inputs(), max_new_tokens=3, do_sample=False).tolist()
        == model.generate(**video_inputs(), max_new_tokens=3, do_sample=False).tolist()
    )
