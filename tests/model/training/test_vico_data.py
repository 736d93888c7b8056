"""Shards that the pipeline made of a generated film, as the trainer sees them."""

from itertools import islice
from pathlib import Path

import pytest

from model.processing_video_xl import VideoXLProcessor
from model.training.loader import TrainingLoader
from model.training.loader_settings import LoaderSettings
from model.training.mixture import everything
from pipeline.sample_videos import sample_script, write_captions, write_video
from schemas.build_config import BuildConfig
from tests.builds import rows
from tests.model.tiny_models import byte_tokenizer, tiny_config
from tests.stages import run_stages


@pytest.fixture(scope="module")
def vico(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vico")
    script = sample_script(seed=3, duration_s=90)
    write_video(script, folder / "film.mp4")
    write_captions(script, folder / "film.jsonl", "film.mp4")
    config = BuildConfig(captioner="file", captions=[str(folder / "film.jsonl")], frame_side=64, test_share=0.0)
    run_stages(folder / "film.mp4", folder / "out", config)
    return folder / "out"


@pytest.mark.parametrize("budget", [128, 12])
def test_every_question_whose_evidence_fits_the_budget_is_seen_once(vico: Path, budget: int) -> None:
    samples = rows(vico, "samples")
    processor = VideoXLProcessor.for_model(tiny_config(), byte_tokenizer())
    config = tiny_config()
    config.text_config.max_position_embeddings = 4096
    settings = LoaderSettings.for_model(config, [2], rows=1, most_questions=4)
    loader = TrainingLoader(everything([str(vico)], budget), processor, settings, 0, 1, 0, 0)
    batches = list(islice(loader, loader.batches_per_epoch))
    seen = [name for batch in batches for name in batch.sample_ids[0]]
    expected = [row["sample_id"] for row in samples if row["min_frames"] <= budget]
    assert sorted(seen) == sorted(expected)
    assert expected
    assert (len(expected) == len(samples)) == (budget == 128)
    assert loader.facts().sources[0].left_out.get("evidence_unseen", 0) == len(samples) - len(expected)
    assert len(batches) < len(expected) / 2 or budget < 128
    answers = {row["sample_id"]: row["conversations"][-1]["value"] for row in samples}
    for batch in batches:
        for number, name in enumerate(batch.sample_ids[0], start=1):
            mine = (batch.question_ids[0] == number) & (batch.labels[0] != -100)
            assert processor.tokenizer.decode(batch.labels[0][mine]) == f"{answers[name]}<|im_end|>"
