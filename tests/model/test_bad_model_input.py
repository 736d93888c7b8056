"""Inputs that do not fit are refused, with the remedy, before anything is computed."""

import numpy as np
import pytest
import torch
from tiny_models import pixels, tiny_config

from model.ratio_choice import DrawnRatio, RatioDoesNotFitError

MARK = 299


@pytest.fixture
def sealed(model, monkeypatch):
    """A model that fails the test if it computes anything."""

    def computed(*_, **__):
        raise AssertionError("something was computed")

    monkeypatch.setattr(type(model.model), "run_pass", computed)
    monkeypatch.setattr(type(model.model), "encode", computed)
    return model


def call(model, frames=8, ids=(1, MARK, 2), **changes):
    given = {"input_ids": torch.tensor([list(ids)]), "pixel_values": pixels(frames) if frames else None, **changes}
    return model(**given)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ratio": 3}, "not one of [2, 4, 8, 12, 16]"),
        ({"ratio": 0}, "not one of"),
        ({"ratio": [[4, 4]]}, "1 windows, but 2 ratios"),
        ({"ratio": [4, 4]}, "batch of 1"),
        ({"ratio": "4"}, "ratio must be"),
        ({"ratio": True}, "ratio must be"),
        ({"ratio": 4.0}, "ratio must be"),
        ({"ratio": DrawnRatio((2, 5), np.random.default_rng(0))}, "5 is not one of"),
        ({"frames": 1, "ratio": 8}, "too few for ratio 8"),
        ({"frames": 2, "ratio": DrawnRatio((16,), np.random.default_rng(0))}, "none of the ratios"),
        ({"ids": (1, 2)}, "0 media marks, but 1 media"),
        ({"ids": (1, MARK, MARK, 2)}, "2 media marks, but 1 media"),
        ({"frames": 0}, "1 media marks, but 0 media"),
        ({"ids": (1, -200, 2)}, "id -200 is outside the vocabulary"),
        ({"ids": (1, 300, MARK)}, "id 300 is outside"),
        ({"pixel_values": pixels(8)[:0]}, "zero frames"),
        ({"pixel_values": torch.zeros(8, 28, 28, 3)}, "[frames, 3, 28, 28]"),
        ({"pixel_values": torch.zeros(8, 3, 27, 28)}, "[frames, 3, 28, 28]"),
        ({"pixel_values": torch.zeros(3, 28, 28)}, "[frames, 3, 28, 28]"),
        ({"pixel_values": torch.zeros(8, 3, 28, 28, dtype=torch.uint8)}, "VideoXLProcessor"),
        ({"pixel_values": [1, 2]}, "VideoXLProcessor"),
        ({"pixel_values": torch.full((8, 3, 28, 28), float("nan"))}, "NaN"),
        ({"pixel_values": torch.full((8, 3, 28, 28), float("inf"))}, "infinite"),
        ({"media_sizes": [4, 4]}, "1 media marks, but 2"),
        ({"media_sizes": [7]}, "add up to 7"),
        ({"media_sizes": [8, 0], "ids": (MARK, MARK)}, "medium 1 has 0 frames"),
        ({"media_sizes": [9, -1], "ids": (MARK, MARK)}, "medium 1 has -1 frames"),
        ({"frames": 0, "ids": (1, 2), "media_sizes": [3]}, "without pixel_values"),
        ({"visual_tokens": torch.zeros(8, 32)}, "both given"),
        ({"frames": 0, "visual_tokens": torch.zeros(7, 32)}, "visual_tokens must have"),
        ({"positions": "longrope"}, "published, linear, ntk, yarn"),
        ({"attention_mask": torch.ones(1, 2)}, "attention_mask has the shape"),
        ({"attention_mask": torch.zeros(1, 3, dtype=torch.long), "frames": 0}, "empty"),
        ({"input_ids": torch.ones(1, 0, dtype=torch.long)}, "at least one id"),
        ({"input_ids": torch.ones(1, 3)}, "must be integers"),
        ({"question_ids": torch.tensor([[0, 1, 1]])}, "packed question holds a media mark"),
        ({"question_ids": torch.tensor([[1, 0, 0]]), "ids": (1, 2, 3), "frames": 0}, "must not fall"),
        ({"labels": torch.ones(1, 4, dtype=torch.long)}, "labels have the shape"),
        ({"labels": torch.full((1, 3), -100)}, "no token is labelled"),
        ({"labels": torch.ones(1, 3, dtype=torch.long), "logits_to_keep": 1}, "leave logits_to_keep out"),
        ({"windows_per_pass": 0}, "windows_per_pass"),
        ({"windows_per_pass": "all"}, "windows_per_pass"),
    ],
    ids=str,
)
def test_forward_refuses(sealed, changes, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(sealed, **changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([np.zeros((28, 28, 3), np.int32)], "uint8 picture or floating point"),
        ([np.zeros((28, 28), np.uint8)], "[height, width, 3]"),
        ([np.zeros((0, 28, 3), np.uint8)], "[height, width, 3]"),
        ([torch.zeros(3, 28, 27)], "[3, 28, 28]"),
        ([torch.full((3, 28, 28), float("nan"))], "frame 0 holds NaN"),
        (["film.mp4"], "uint8 picture"),
        ([np.zeros((40, 40, 3), np.uint8)], "need a processor"),
    ],
    ids=str,
)
def test_compress_refuses_frames(sealed, frames, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        sealed.compress(frames, ratio=4, prefix_ids=[1])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ratio": 5}, "not one of"),
        ({"positions": "longrope"}, "published, linear, ntk, yarn"),
        ({"prefix_ids": None}, "processor"),
        ({"prefix_ids": [1, MARK]}, "media mark"),
        ({"prefix_ids": [1, 900]}, "outside the vocabulary"),
        ({"windows_per_pass": 0}, "windows_per_pass"),
        ({"frames_per_chunk": 0}, "frames_per_chunk"),
    ],
    ids=str,
)
def test_compress_refuses_settings(sealed, changes, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        sealed.compress(pixels(3), **{"ratio": 4, "prefix_ids": [1], **changes})
    assert words in str(caught.value)


def test_compress_refuses_no_frames(sealed):
    with pytest.raises(ValueError, match="zero frames"):
        sealed.compress([], ratio=4, prefix_ids=[1])


def test_a_stream_too_short_for_its_ratio_is_refused_when_asked(model):
    memory = model.compress(pixels(1), ratio=8, prefix_ids=[1])
    with pytest.raises(RatioDoesNotFitError, match="too few for ratio 8"):
        memory.cache()
    with pytest.raises(RatioDoesNotFitError, match="too few for ratio 8"):
        memory.close()
    memory.extend(pixels(1)).close()
    assert memory.ratios == (8,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ratios": [2, 7]}, "[7] do not divide"),
        ({"pool_stride": 3}, "cannot be pooled"),
        ({"vision_select_layer": 4}, "outside a tower"),
    ],
    ids=str,
)
def test_configurations_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(ValueError) as caught:
        tiny_config(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "<video> and <video>"}, "2 <video> marks, but 1 videos"),
        ({"text": "nothing"}, "0 <video> marks, but 1 videos"),
        ({"text": "<image>", "videos": None}, "1 <image> marks, but 0 images"),
        ({"videos": [[]]}, "zero frames"),
        ({"videos": [[np.zeros((4, 4, 3), np.float32)]]}, "uint8"),
        ({"text": "<image>", "videos": None, "images": ["a.png"]}, "PIL image"),
        ({"return_tensors": "np"}, "only 'pt'"),
    ],
    ids=str,
)
def test_the_processor_refuses(processor, changes, words):
    given = {"text": "<video>", "videos": [[np.zeros((30, 30, 3), np.uint8)]], **changes}
    with pytest.raises((ValueError, TypeError)) as caught:
        processor(**given)
    assert words in str(caught.value)
