"""Images to tiles and frames to crops. (Grey levels against the published code: the golden cases.)"""

import numpy as np
import pytest
import torch
from PIL import Image

from model.configuration import default_pinpoints
from model.image_tiles import best_canvas, cut_tiles, fit_on_canvas


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((500, 700), (672, 1008)),
        ((640, 480), (672, 672)),
        ((300, 330), (336, 672)),
        ((336, 1000), (336, 1008)),
        ((700, 410), (1008, 672)),
    ],
)
def test_the_published_canvases_are_chosen(size, canvas):
    assert best_canvas(*size, default_pinpoints(336)) == canvas


def test_the_list_of_canvases_is_the_published_one():
    assert len(default_pinpoints(336)) == 200
    assert [336, 336] not in default_pinpoints(336)


def test_tiles_run_row_by_row_on_black():
    image = Image.new("RGB", (10, 30), (255, 255, 255))
    whole = np.asarray(fit_on_canvas(image, (20, 20)))
    assert whole[:, 10].all()
    assert not whole[:, :6].any()
    numbered = Image.fromarray(np.arange(36, dtype=np.uint8).reshape(6, 6)).convert("RGB")
    tiles = [np.asarray(tile)[0, 0, 0] for tile in cut_tiles(numbered, 2)]
    assert tiles == [0, 2, 4, 12, 14, 16, 24, 26, 28]


def test_wide_frames_lose_their_edges(processor):
    frame = np.zeros((28, 84, 3), np.uint8)
    frame[:, 28:56] = 255
    centre = processor.frame_pixels(frame)
    white = (1 - torch.tensor(processor.image_mean)) / torch.tensor(processor.image_std)
    assert torch.allclose(centre, white.view(3, 1, 1).expand(3, 28, 28))


@pytest.mark.parametrize("shape", [(40, 60), (61, 40), (28, 28), (17, 29), (300, 31)])
def test_frames_are_those_of_the_clip_preprocessor(processor, shape):
    """transformers' own, where it runs without torchvision."""
    from transformers import CLIPImageProcessorPil

    theirs = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = theirs(Image.fromarray(frame), return_tensors="pt")["pixel_values"][0]
    assert (processor.frame_pixels(frame) - expected).abs().max() < 1e-5
