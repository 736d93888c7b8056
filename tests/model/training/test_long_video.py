"""Three hours at one frame a second, 128 frames to look at: no question is asked whose evidence cannot be seen."""

import io
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from model.processing_video_xl import VideoXLProcessor
from model.training.loader import TrainingLoader
from model.training.loader_settings import LoaderSettings
from model.training.mixture import everything
from schemas.uniform_frames import smallest_budget
from tests.model.tiny_models import byte_tokenizer, tiny_config
from tests.model.training.hand_made_shards import frame, medium, sample, write_data_set

SECONDS, CLIP_S, BUDGET = 3 * 3600, 14, 128
CLIPS = SECONDS // CLIP_S
CONFIG = tiny_config()
SIDE = CONFIG.vision_config.image_size
BLOCK = SIDE // 4
GAP = range(500, 540)
"""Clips that were rejected: their frames are not stored."""


def numbered(second: int) -> bytes:
    """A picture of sixteen black and white squares that says a second."""
    bits = np.array([second >> bit & 1 for bit in range(16)], np.uint8).reshape(4, 4)
    file = io.BytesIO()
    Image.fromarray(np.kron(bits * 255, np.ones((BLOCK, BLOCK), np.uint8))).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def second_of(picture: Tensor) -> int:
    """What a picture [3, S, S] says."""
    means = picture[0].reshape(4, BLOCK, 4, BLOCK).mean(dim=(1, 3)).flatten()
    return sum(1 << bit for bit, level in enumerate(means.tolist()) if level > 0)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict]]:
    """Questions about spans of 3 to 30 minutes and the whole, the evidence of each somewhere inside."""
    clips = [clip for clip in range(CLIPS) if clip not in GAP]
    clip_of_frame = np.array([clip for clip in clips for _ in range(CLIP_S)])
    random = np.random.default_rng(11)
    samples = {}
    for minutes in (3, 10, 30, 180):
        length = min(CLIPS, minutes * 60 // CLIP_S)
        for number in range(80):
            first = int(random.integers(0, CLIPS - length + 1))
            inside = [clip for clip in clips if first <= clip < first + length]
            if len(inside) < 3:
                continue
            evidence = sorted(random.choice(inside, 2, replace=False).tolist())
            begin, end = np.searchsorted(clip_of_frame, [first, first + length])
            stretches = [tuple((np.searchsorted(clip_of_frame, [clip, clip + 1]) - begin).tolist())
                         for clip in evidence]
            name = f"{minutes:03}-{number:02}"
            samples[name] = sample(
                name, [medium("film", inside[0] * CLIP_S, (inside[-1] + 1) * CLIP_S)], "<image>\nWhich first?", "One.",
                min_frames=smallest_budget(int(end - begin), stretches),
                evidence=[{"clue_id": None, "clip_index": clip, "start_s": float(clip * CLIP_S),
                           "end_s": float((clip + 1) * CLIP_S)} for clip in evidence])
    frames = [frame("film", second, float(second), numbered(second), (SIDE, SIDE))
              for clip in clips for second in range(clip * CLIP_S, (clip + 1) * CLIP_S)]
    return write_data_set(tmp_path_factory.mktemp("long") / "a", samples.values(), frames), samples


def test_every_evidence_clip_is_seen_twice_and_what_is_left_out_is_told(
    long_film: tuple[Path, dict[str, dict]],
) -> None:
    root, samples = long_film
    processor = VideoXLProcessor.for_model(CONFIG, byte_tokenizer())
    settings = LoaderSettings.for_model(CONFIG, [4], rows=1, most_questions=8)
    loader = TrainingLoader(everything([str(root)], BUDGET), processor, settings, 0, 1, 0, 0)
    seen = set()
    for batch in islice(loader, loader.batches_per_epoch):
        shown = [second_of(picture) for picture in batch.pixel_values]
        assert len(shown) <= BUDGET
        assert shown == sorted(set(shown))
        for name in batch.sample_ids[0]:
            span = samples[name]["media"][0]
            assert all(span["start_s"] <= second < span["end_s"] for second in shown)
            for clip in samples[name]["evidence"]:
                assert sum(clip["start_s"] <= second < clip["end_s"] for second in shown) >= 2
            seen.add(name)
    left_out = len(samples) - len(seen)
    assert 100 < left_out < len(samples)
    assert f"  left out, evidence_unseen: {left_out}" in loader.facts().lines()
    assert {name[:3] for name in seen} == {"003", "010"}  # a frame in 14 s and more shows no clip twice
