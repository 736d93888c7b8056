"""Fixtures of the model's tests."""

from pathlib import Path

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


@pytest.fixture(scope="session")
def model_folder(model, processor, tmp_path_factory) -> Path:
    """Both as `from_pretrained` reads them; not to be written to."""
    path = tmp_path_factory.mktemp("model")
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)
