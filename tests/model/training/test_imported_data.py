"""What the import wrote is what the trainer sees."""

import json
from itertools import islice
from pathlib import Path

from PIL import Image

from model.processing_video_xl import VideoXLProcessor
from model.training.loader import TrainingLoader
from model.training.loader_settings import LoaderSettings
from model.training.mixture import everything
from pipeline.import_instructions import run
from pipeline.sample_videos import sample_script, write_video
from tests.builds import rows
from tests.model.tiny_models import byte_tokenizer, tiny_config
from tests.model.training.hand_made_shards import jpeg


def test_every_record_is_a_sample_and_images_are_cut_at_their_own_size(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "wide.jpg").write_bytes(jpeg(1, 300, 100))
    (media / "high.jpg").write_bytes(jpeg(2, 60, 120))
    write_video(sample_script(seed=0, duration_s=10), media / "film.mp4")
    asked = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
    (tmp_path / "records.jsonl").write_text("\n".join(json.dumps(record | {"conversations": asked}) for record in [
        {"image": ["wide.jpg", "high.jpg", "wide.jpg"]}, {"image": "high.jpg"}, {"video": "film.mp4"}, {}]))
    out = tmp_path / "out"
    assert run([str(tmp_path / "records.jsonl"), "--media", str(media), "--dataset", "made", "--out", str(out)]) == 0

    processor = VideoXLProcessor.for_model(tiny_config(), byte_tokenizer())
    loader = TrainingLoader(everything([str(out)], most_frames=6), processor,
                            LoaderSettings.for_model(tiny_config(), [2], rows=1), 0, 1, 0, 0)
    batches = {batch.sample_ids[0][0]: batch for batch in islice(loader, loader.batches_per_epoch)}
    samples = {row["sample_id"]: row for row in rows(out, "samples")}
    assert set(batches) == set(samples)
    wide, high = (len(processor.image_pixels(Image.open(media / name))) for name in ("wide.jpg", "high.jpg"))
    assert wide != high
    sizes = {
        tuple(medium["type"] for medium in row["media"]):
            [] if batches[name].media_sizes is None else batches[name].media_sizes.tolist()
        for name, row in samples.items()}
    assert sizes == {("image",) * 3: [wide, high, wide], ("image",): [high], ("video",): [6], (): []}
