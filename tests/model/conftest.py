"""Fixtures of the model's tests."""

import pytest
import torch
from tiny_models import byte_tokenizer, tiny_model

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor


@pytest.fixture(scope="session")
def model() -> VideoXLForConditionalGeneration:
    return tiny_model()


@pytest.fixture
def fresh_model() -> VideoXLForConditionalGeneration:
    """One to be changed."""
    return tiny_model()


@pytest.fixture(scope="session")
def processor(model) -> VideoXLProcessor:
    return VideoXLProcessor.for_model(model.config, byte_tokenizer())


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)
