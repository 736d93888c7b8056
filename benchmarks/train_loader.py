"""How fast the training loader is, the model taken out, beside a bare decode of the same pictures in the same run.

    OMP_NUM_THREADS=1 python benchmarks/train_loader.py [--size 336] [--workers 1] [--seconds 10]

It draws pictures, writes them as data sets of videos and images, and prints for each what one epoch costs. `--size 28`
is a model of tiny size: 28-pixel frames. What arrives a second depends on how busy the machine is; CPU time does not.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from model.configuration import VideoXLConfig
from model.processing_video_xl import VideoXLProcessor
from model.training.loader import TrainingLoader
from model.training.loader_settings import LoaderSettings
from model.training.mixture import everything
from tests.model.tiny_models import byte_tokenizer
from tests.model.training.hand_made_shards import frame, medium, sample, write_data_set

FILMS, SECONDS, QUESTIONS = 6, 160, 10
IMAGES = 60
IMAGE_SIZE = (1000, 750)
MOST_FRAMES = 128


@dataclass
class Case:
    """Data of one kind, and how it is packed."""

    name: str
    root: Path
    most_questions: int


def picture(seed: int, width: int, height: int) -> bytes:
    """A JPEG with about as much detail as a film has."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 24 + 1, width // 24 + 1, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    pixels += random.integers(-6, 7, pixels.shape, dtype=np.int16)
    return cv2.imencode(".jpg", np.clip(pixels, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def write_films(root: Path, side: int) -> Path:
    """Films of which ten questions are asked each."""
    size = side * 16 // 9, side
    drawn = [picture(number, *size) for number in range(40)]
    frames = [frame(f"film{film}", second, float(second), drawn[(second * 7 + film) % 40], size)
              for film in range(FILMS) for second in range(SECONDS)]
    samples = [
        sample(f"{film}-{number}", [medium(f"film{film}", 0, SECONDS)],
               f"<image>\nWhich of these came first in part {number}?\n" + "(A) something that happens. " * 4,
               "(B) something else that happens.")
        for film in range(FILMS) for number in range(QUESTIONS)]
    return write_data_set(root, samples, frames, frames_per_group=SECONDS)


def write_images(root: Path, size: tuple[int, int]) -> Path:
    """Images with a question each."""
    frames = [frame(f"image{number:04}", 0, None, picture(number, *size), size) for number in range(IMAGES)]
    samples = [
        sample(f"s{number:04}", [medium(f"image{number:04}", kind="image")], "<image>\nWhat is it?", "A thing. " * 20)
        for number in range(IMAGES)]
    return write_data_set(root, samples, frames, frames_per_group=30)


def loader_of(case: Case, config: VideoXLConfig, processor: VideoXLProcessor, workers: int) -> TrainingLoader:
    """A loader over the data of a case."""
    settings = LoaderSettings.for_model(config, [2], rows=1, most_questions=case.most_questions, most_tokens=30_000)
    return TrainingLoader(everything([str(case.root)], MOST_FRAMES), processor, settings, 0, 1, 0, workers)


def per_second(loader: TrainingLoader, seconds: float) -> tuple[float, float]:
    """Samples and rows a second as they arrive from the workers, after a first row that starts them."""
    batches: Iterator = iter(loader)
    next(batches)
    samples = rows = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        samples, rows = samples + next(batches).samples, rows + 1
    took = time.perf_counter() - start
    return samples / took, rows / took


def cpu_ms_a_row(loader: TrainingLoader, rows: int) -> float:
    """CPU time of a row, everything done in this process."""
    batches: Iterator = iter(loader)
    next(batches)
    start = time.process_time()
    for _ in range(rows):
        next(batches)
    return (time.process_time() - start) / rows * 1000


def decode_ms(root: Path) -> float:
    """CPU time of decoding one picture, reading nothing and computing nothing else."""
    table = pq.read_table(next((root / "data" / "frames").iterdir()), columns=["image"])
    data = [row["image"]["bytes"] for row in table.slice(0, 200).to_pylist()]
    start = time.process_time()
    for one in data:
        np.asarray(Image.open(io.BytesIO(one)).convert("RGB"))
    return (time.process_time() - start) / len(data) * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", type=int, default=336, help="side of a crop in pixels")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rows", type=int, default=8, help="rows whose CPU time is taken")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = VideoXLConfig()
    config.vision_config.image_size = options.size
    processor = VideoXLProcessor(byte_tokenizer(), size=options.size, media_token_id=config.media_token_id)
    image_size = IMAGE_SIZE if options.size >= 224 else (options.size * 3, options.size * 2)
    with tempfile.TemporaryDirectory() as folder:
        films = write_films(Path(folder) / "films", options.size)
        images = write_images(Path(folder) / "images", image_size)
        cases = [
            Case(f"films, {MOST_FRAMES} frames, 8 questions a row", films, 8),
            Case(f"films, {MOST_FRAMES} frames, unpacked", films, 1), Case(f"images {image_size}, tiled", images, 1)]
        print(f"crops of {options.size} pixels, {options.workers} worker(s)\n")
        print("| | samples/s | rows/s | CPU ms a row | decoding its pictures, ms | ratio |")
        print("|---|---|---|---|---|---|")
        for case in cases:
            samples, rows = per_second(loader_of(case, config, processor, options.workers), options.seconds)
            spent = cpu_ms_a_row(loader_of(case, config, processor, workers=0), options.rows)
            bare = decode_ms(case.root) * (1 if case.root == images else MOST_FRAMES)
            print(f"| {case.name} | {samples:.2f} | {rows:.2f} | {spent:.1f} | {bare:.1f} | {spent / bare:.2f} |",
                  flush=True)


if __name__ == "__main__":
    main()
