"""Memories: asked, extended, closed, saved, moved, refused."""

import copy
import itertools
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import pixels, tiny_model

from model.memory import Memory
from model.ratio_choice import DrawnRatio

MARK = 299
PREFIX, QUESTION = [1, 2, 3], torch.tensor([[4, 5, 6]])


def asked(model, memory) -> torch.Tensor:
    with torch.no_grad():
        return model(QUESTION, past_key_values=memory.cache()).logits


def one_call(model, video, ratio, **settings) -> torch.Tensor:
    ids = torch.tensor([[*PREFIX, MARK, *QUESTION[0].tolist()]])
    with torch.no_grad():
        return model(ids, pixel_values=video, ratio=ratio, **settings).logits[:, -3:]


@pytest.fixture(scope="module")
def double(model):
    return copy.deepcopy(model).double()


@pytest.mark.parametrize("frames", [1, 11, 12, 13, 24, 40])
def test_a_memory_answers_like_one_call(double, frames):
    video = pixels(frames, dtype=torch.float64)
    memory = double.compress(video, ratio=4, prefix_ids=PREFIX, windows_per_pass=2, frames_per_chunk=5)
    expected = one_call(double, video, 4)
    assert (asked(double, memory) - expected).abs().max() < 1e-10
    memory.close()
    assert memory.raw_tokens == 0
    assert (asked(double, memory) - expected).abs().max() < 1e-10


def test_one_memory_answers_many_questions_in_any_order(double):
    memory = double.compress(pixels(30, dtype=torch.float64), ratio=8, prefix_ids=PREFIX)
    size = memory.positions_used
    first, second = memory.cache(), memory.cache()
    with torch.no_grad():
        a = double(QUESTION, past_key_values=first).logits
        b = double(QUESTION + 7, past_key_values=second).logits
        a2 = double(QUESTION * 2, past_key_values=first).logits
        b2 = double(QUESTION * 2, past_key_values=second).logits
    assert memory.positions_used == size
    assert torch.equal(a, asked(double, memory))
    assert not torch.equal(a2, b2)
    together = torch.cat((QUESTION + 7, QUESTION * 2), 1)
    with torch.no_grad():
        alone = double(together, past_key_values=memory.cache()).logits
    assert (torch.cat((b, b2), 1) - alone).abs().max() < 1e-10


@pytest.mark.parametrize("cut", [1, 5, 11, 12, 13, 24, 29])
def test_extending_gives_the_bits_of_the_whole(model, cut):
    """Window by window and frame by frame, the default on a CPU, every sum is the same sum."""
    video = pixels(30)
    whole = model.compress(video, ratio=4, prefix_ids=PREFIX)
    parts = model.compress(video[:cut], ratio=4, prefix_ids=PREFIX)
    asked(model, parts)  # a question in between leaves no trace
    parts.extend(video[cut:])
    assert parts.ratios == whole.ratios
    assert parts.frames == whole.frames == 30
    assert torch.equal(asked(model, parts), asked(model, whole))
    for a, b in zip(whole.rows.contiguous(), parts.rows.contiguous(), strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_extending_in_groups_agrees(double):
    video = pixels(61, dtype=torch.float64)
    whole = double.compress(video, ratio=4, prefix_ids=PREFIX, windows_per_pass=3, frames_per_chunk=7)
    parts = double.compress(video[:17], ratio=4, prefix_ids=PREFIX, windows_per_pass=2, frames_per_chunk=3)
    for start in range(17, 61, 11):
        parts.extend(video[start : start + 11], windows_per_pass=2)
    assert (asked(double, parts) - asked(double, whole)).abs().max() < 1e-10


def test_drawn_ratios_do_not_depend_on_cuts_or_questions(model):
    def choice():
        return DrawnRatio((2, 4, 8), np.random.default_rng(3))

    video = pixels(50)
    whole = model.compress(video, ratio=choice(), prefix_ids=PREFIX).close()
    parts = model.compress(video[:7], ratio=choice(), prefix_ids=PREFIX)
    for start in range(7, 50, 9):
        asked(model, parts)
        parts.extend(video[start : start + 9])
    assert parts.close().ratios == whole.ratios
    assert len(set(whole.ratios)) > 1


def test_frames_come_from_an_iterator_and_carry_times(model):
    video = pixels(13)
    memory = model.compress(((i / 2, frame) for i, frame in enumerate(video)), ratio=16, prefix_ids=PREFIX)
    assert memory.state.times_s == [i / 2 for i in range(13)]
    assert memory.close().ratios == (16, 16)
    assert memory.vst_frames() == [(0, 3), (4, 7), (8, 11), (12, 12)]


@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16", "int8"])
def test_saved_memories_come_back_and_go_on(model, tmp_path, dtype):
    video = pixels(30)
    memory = model.compress(video[:19], ratio=DrawnRatio((2, 4), np.random.default_rng(1)), prefix_ids=PREFIX)
    memory.save(tmp_path / "film.safetensors", dtype)
    loaded = Memory.load(tmp_path / "film.safetensors", model)
    difference = (asked(model, memory) - asked(model, loaded)).abs().max()
    assert difference <= {None: 0, "float16": 0.02, "bfloat16": 0.1, "int8": 0.2}[dtype]
    assert vars(loaded.state)["times_s"] == memory.state.times_s
    memory.extend(video[19:])
    loaded.extend(video[19:])
    assert loaded.ratios == memory.ratios
    if dtype is None:
        assert torch.equal(asked(model, memory), asked(model, loaded))
    assert not list(tmp_path.glob("*.partial"))


def test_int8_is_about_a_quarter_of_float32(model, tmp_path):
    memory = model.compress(pixels(120), ratio=2, prefix_ids=PREFIX).close()
    memory.save(tmp_path / "a", "int8")
    memory.save(tmp_path / "b", None)
    assert (tmp_path / "a").stat().st_size < 0.5 * (tmp_path / "b").stat().st_size


def test_another_model_is_refused(model, tmp_path):
    memory = model.compress(pixels(13), ratio=4, prefix_ids=PREFIX)
    other = tiny_model(seed=1)
    with pytest.raises(ValueError, match="another model"):
        memory.cache(other)
    memory.save(tmp_path / "m")
    with pytest.raises(ValueError, match="another model"):
        Memory.load(tmp_path / "m", other)


def test_training_makes_another_model(fresh_model):
    memory = fresh_model.compress(pixels(13), ratio=4, prefix_ids=PREFIX)
    with torch.no_grad():
        fresh_model.lm_head.weight += 0.01
    with pytest.raises(ValueError, match="weights"):
        memory.extend(pixels(2))


def test_damaged_and_foreign_files_are_refused(model, tmp_path):
    memory = model.compress(pixels(13), ratio=4, prefix_ids=PREFIX)
    memory.save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    (tmp_path / "short").write_bytes(whole[:-100])
    (tmp_path / "noise").write_bytes(b"no memory at all")
    save_file({"a": torch.zeros(1)}, tmp_path / "weights")
    with safe_open(tmp_path / "m", framework="pt") as file:
        tensors, header = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    fields = json.loads(header["state"])
    for name, wrong in (("more", {"state": json.dumps(fields | {"mood": 1})}),
                        ("less", {"state": json.dumps({key: fields[key] for key in fields if key != "closed"})}),
                        ("no ratio", {"state": "{}"}), ("layers", {"layers": "1"})):
        save_file(tensors, tmp_path / name, metadata=header | wrong)
    for name in ("short", "noise", "weights", "more", "less", "no ratio", "layers"):
        with pytest.raises(ValueError, match="memory"):
            Memory.load(tmp_path / name, model)
    with pytest.raises(FileNotFoundError, match="compress"):
        Memory.load(tmp_path / "none", model)


def test_a_bad_frame_ends_the_call_and_not_the_memory(model):
    video = pixels(20)
    memory = model.compress(video[:5], ratio=4, prefix_ids=PREFIX)
    bad = [*video[5:9], torch.full((3, 28, 28), float("nan"))]
    with pytest.raises(ValueError, match="frame 9 holds NaN"):
        memory.extend(bad)
    assert memory.frames == 9
    memory.extend(video[9:])
    assert torch.equal(asked(model, memory), asked(model, model.compress(video, ratio=4, prefix_ids=PREFIX)))


def test_a_pass_that_fails_leaves_the_memory_whole(model, monkeypatch):
    """A full device in the last layer, say: the same frames can be compressed afterwards."""
    video = pixels(40)
    memory = model.compress(video[:5], ratio=DrawnRatio((2, 4), np.random.default_rng(1)), prefix_ids=PREFIX)
    last = model.model.language_model.layers[-1]
    with monkeypatch.context() as patch:
        patch.setattr(type(last), "forward", lambda *_: (_ for _ in ()).throw(MemoryError("full")))
        with pytest.raises(MemoryError):
            memory.extend(video[5:14])
    memory.extend(video[memory.frames :])
    whole = model.compress(video, ratio=DrawnRatio((2, 4), np.random.default_rng(1)), prefix_ids=PREFIX)
    assert memory.ratios == whole.ratios
    assert torch.equal(asked(model, memory), asked(model, whole))


@pytest.mark.parametrize("at", [0, 2])
def test_frames_that_could_not_be_encoded_are_not_counted(model, monkeypatch, at):
    """A full device in the tower."""
    video, calls = pixels(40), itertools.count()
    memory = model.compress(video[:5], ratio=4, prefix_ids=PREFIX)
    encode = model.model.encode

    def full_at_last(frames):
        if next(calls) == at:
            raise MemoryError("full")
        return encode(frames)

    with monkeypatch.context() as patch:
        patch.setattr(model.model, "encode", full_at_last)
        with pytest.raises(MemoryError):
            memory.extend(video[5:], frames_per_chunk=4)
    assert memory.frames == 5 + 4 * at
    memory.extend(video[memory.frames:], frames_per_chunk=4)
    whole = model.compress(video, ratio=4, prefix_ids=PREFIX)
    assert memory.state.window_tokens == whole.state.window_tokens
    assert torch.allclose(asked(model, memory), asked(model, whole), atol=1e-5)


def test_a_memory_can_be_moved_and_goes_its_own_way(model):
    memory = model.compress(pixels(20), ratio=4, prefix_ids=PREFIX)
    moved = memory.to("cpu")
    assert torch.equal(asked(model, moved), asked(model, memory))
    moved.extend(pixels(10))
    assert (memory.frames, moved.frames) == (20, 30)


def test_a_closed_stream_takes_no_frames(model):
    memory = model.compress(pixels(13), ratio=4, prefix_ids=PREFIX).close()
    with pytest.raises(ValueError, match="closed"):
        memory.extend(pixels(1))


def test_yarn_changes_the_function_and_stays_with_the_memory(double, tmp_path):
    video = pixels(20, dtype=torch.float64)
    memory = double.compress(video, ratio=4, prefix_ids=PREFIX, positions="yarn")
    expected = one_call(double, video, 4, positions="yarn")
    assert (asked(double, memory) - expected).abs().max() < 1e-10
    assert (expected - one_call(double, video, 4)).abs().max() > 1e-6
    memory.save(tmp_path / "m")
    assert torch.equal(asked(double, Memory.load(tmp_path / "m", double)), asked(double, memory))


def test_published_positions_run_on_past_the_trained_range(model):
    """512 positions; 280 frames at ratio 2 take 560."""
    memory = model.compress(pixels(280), ratio=2, prefix_ids=PREFIX)
    assert memory.positions_used > 512
    assert torch.isfinite(asked(model, memory)).all()
