"""Bytes overwritten at random: the decode stage never shows a wrong picture, and never fails in a way of its own."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.decode import UnreadableVideoError
from pipeline.decode_video import DecodeSettings, decode_video, read_jpegs
from pipeline.killable_worker import KillableWorker
from schemas.records import Source
from tests.numbered_videos import VARIANTS, Shown, read_number, write_numbered
from tests.odd_files import overwritten

KINDS = ("constant", "variable_mkv", "plain_ts", "open_gop", "edit_list")
SETTINGS = DecodeSettings(
    clip_seconds=2, min_last_clip_seconds=1, max_hours=24, caption_frames=4, caption_frame_side=180, frame_side=168,
    jpeg_quality=88)


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def _damaged(data: bytes, seed: int) -> bytes:
    """One to four places, of one byte to a hundred, anywhere in the file."""
    rng = np.random.default_rng(seed)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(data)))
        data = overwritten(data, at, rng.bytes(int(rng.integers(1, 100))))[: len(data)]
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_damage_never_shows_a_wrong_picture(
    kind: str, worker: KillableWorker, tmp_path: Path, long_tests: bool
) -> None:
    path = tmp_path / f"damaged{VARIANTS[kind].suffix}"
    truth = write_numbered(path, kind, 250, 320, 180)
    good = path.read_bytes()
    checked = 0
    for seed in range(200 if long_tests else 8):
        path.write_bytes(_damaged(good, seed))
        folder = tmp_path / str(seed)
        folder.mkdir()
        source = Source(path=str(path), source=path.name)
        try:
            worker.run(decode_video, source, "v", SETTINGS, 1, folder, stall_seconds=60)
        except UnreadableVideoError:
            continue
        checked += _check_pictures(folder, truth, seed)
    assert checked > 20


def _check_pictures(folder: Path, truth: list[Shown], seed: int) -> int:
    """A picture with a fault that the codec cannot notice may be unreadable; it is never another one.

    Returns how many pictures showed the number that belongs to their time.
    """
    numbers = {float(time): number for number, time in truth}
    stored = pq.read_table(folder / "frames.parquet").to_pylist()
    pictures = [*((row["t_s"], row["image"]["bytes"]) for row in stored),
                *((t_s, jpeg) for _, t_s, jpeg in read_jpegs(folder))]
    read = [(t_s, _number(jpeg)) for t_s, jpeg in pictures if t_s in numbers]
    wrong = [(t_s, number) for t_s, number in read if number not in (numbers[t_s], None)]
    assert wrong == [], f"seed {seed}"
    return len([number for _, number in read if number is not None])


def _number(jpeg: bytes) -> int | None:
    return read_number(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))
