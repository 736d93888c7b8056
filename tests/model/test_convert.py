"""Published checkpoints in, ours out; anything else is refused with everything that is wrong."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import byte_tokenizer

from model.convert import CheckpointError, convert, load_published, main
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.published_names import our_name

GOLDEN = Path(__file__).parent / "golden"
CLIP = GOLDEN / "clip"


@pytest.fixture
def published(tmp_path) -> Path:
    return Path(shutil.copytree(GOLDEN / "published", tmp_path / "published"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def rewrite(folder: Path, changed: dict[str, torch.Tensor]) -> None:
    (folder / "model.safetensors").unlink()
    save_file(changed, folder / "model.safetensors")


def same(model: VideoXLForConditionalGeneration) -> bool:
    expected = {our_name(name): tensor for name, tensor in weights(GOLDEN / "published").items()}
    found = model.state_dict()
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def problems(folder: Path, tower: Path | None = CLIP) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_published(folder, tower)
    return "\n".join(caught.value.problems)


def test_conversion_is_exact(published, tmp_path):
    assert main([str(published), str(tmp_path / "out"), "--vision-tower", str(CLIP)]) == 0
    assert same(VideoXLForConditionalGeneration.from_pretrained(tmp_path / "out"))


def test_settings_are_taken_over(published):
    edit(published, mm_vision_select_layer=-1, rope_theta=5000.0, beacon_ratio=[2, 4, 8])
    config = load_published(published, CLIP).config
    assert config.vision_select_layer == -1
    assert config.text_config.rope_parameters["rope_theta"] == 5000.0
    assert config.default_ratio == [2, 4, 8]
    assert len(config.grid_pinpoints) == 200
    assert config.media_token_id == 511


def edit(folder: Path, remove: tuple[str, ...] = (), **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    config = {key: value for key, value in config.items() if key not in remove} | changes
    (folder / "config.json").write_text(json.dumps(config))


def test_sharded_safetensors(published):
    whole = weights(published)
    (published / "model.safetensors").unlink()
    names = sorted(whole)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: whole[name] for name in held}, published / file)
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (published / "model.safetensors.index.json").write_text(json.dumps(index))
    assert same(load_published(published, CLIP))
    (published / "model-2.safetensors").unlink()
    assert "model-2.safetensors, which is not there" in problems(published)


def test_bin_files_are_read_without_running_anything(published):
    torch.save(weights(published), published / "pytorch_model.bin")
    (published / "model.safetensors").unlink()
    assert same(load_published(published, CLIP))

    class Bomb:
        def __reduce__(self):
            return (print, ("boom",))

    (published / "pytorch_model.bin").unlink()
    torch.save({"model.norm.weight": Bomb()}, published / "pytorch_model.bin", pickle_module=pickle)
    assert "holds more than tensors" in problems(published)


def test_extra_keys_and_the_resized_vocabulary_are_tolerated(published):
    changed = weights(published)
    changed["model.vision_tower.vision_tower.vision_model.embeddings.position_ids"] = torch.arange(577)[None]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        changed[name] = torch.cat((changed[name], torch.randn(1, 64)))
    rewrite(published, changed)
    assert same(load_published(published, CLIP))


def test_a_resized_vocabulary_in_the_configuration_too(published):
    """The published loader, when it saves, writes vocab_size + 1: placeholder and rows move with it."""
    changed = weights(published)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        changed[name] = torch.cat((changed[name], torch.randn(1, 64)))
    rewrite(published, changed)
    edit(published, vocab_size=513)
    assert load_published(published, CLIP).config.media_token_id == 512


def test_everything_wrong_is_listed(published, tmp_path, capsys):
    changed = weights(published)
    del changed["model.norm.weight"]
    changed["model.layers.0.self_attn.beacon_q_proj.weight"] = torch.zeros(3, 3)
    changed["model.image_newline"] = torch.zeros(64)
    changed["lm_head.weight"][0, 0] = float("nan")
    rewrite(published, changed)
    found = problems(published)
    for word in ("norm.weight: missing", "[3, 3]", "model.image_newline: no such", "NaN"):
        assert word in found
    assert main([str(published), str(tmp_path / "out"), "--vision-tower", str(CLIP)]) == 2
    assert not (tmp_path / "out").exists()
    assert "  - " in capsys.readouterr().err


def test_a_plain_qwen2_is_refused(published):
    rewrite(published, {name: t for name, t in weights(published).items() if "beacon" not in name})
    edit(published, remove=("beacon_window", "mm_vision_select_layer"))
    assert "no 'beacon_window'" in problems(published)


def test_another_function_is_refused(published):
    edit(published, beacon_pos="append", beacon_sink_size=1, mm_spatial_pool_mode="max", model_type="qwen2")
    found = problems(published)
    assert found.count("is supported") == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "llama"}'])
def test_a_foreign_configuration_is_refused(published, text):
    (published / "config.json").write_text(text)
    assert "config.json" in problems(published)


def test_damaged_weights_are_refused(published):
    whole = (published / "model.safetensors").read_bytes()
    (published / "model.safetensors").write_bytes(whole[:5000])
    assert "cannot be read" in problems(published)
    (published / "model.safetensors").unlink()
    assert "no weights" in problems(published)
    (published / "pytorch_model.bin").write_bytes(b"nothing")
    assert "pytorch_model.bin" in problems(published)


def test_a_tower_of_other_sizes_is_refused(published):
    assert "shape" in problems(published, None)  # CLIP-L is assumed where the named path is dead
    assert "no config.json" in problems(published, published / "nowhere")


def test_an_empty_folder_is_refused(tmp_path):
    assert "no config.json" in problems(tmp_path)


def test_the_tokenizer_comes_along(published, tmp_path):
    byte_tokenizer().save_pretrained(published)
    convert(published, tmp_path / "out", CLIP)
    processor = VideoXLProcessor.from_pretrained(tmp_path / "out")
    assert processor.media_token_id == 511
    assert processor.size == 336
