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
from pipeline.record_files import read_records
from schemas.records import Clip, Source
from tests.numbered_videos import VARIANTS, Shown, read_number, write_numbered
from tests.odd_files import overwritten

SETTINGS = DecodeSettings(
    clip_seconds=2, min_last_clip_seconds=1, max_hours=24, caption_frames=4, caption_frame_side=180, frame_side=168,
    jpeg_quality=88)


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


@pytest.fixture
def seeds(long_tests: bool) -> range:
    return range(200 if long_tests else 8)


def _damaged(data: bytes, places: tuple[int, int], seed: int) -> bytes:
    """One to four places in a part of the file, of one byte to a hundred."""
    rng = np.random.default_rng(seed)
    for _ in range(rng.integers(1, 5)):
        by = rng.bytes(int(rng.integers(1, 100)))
        data = overwritten(data, int(rng.integers(places[0], places[1] - len(by))), by)
    return data


def _decode(worker: KillableWorker, path: Path, folder: Path) -> bool:
    """Whether clips came of it; anything but a product or a reason is raised."""
    folder.mkdir()
    try:
        worker.run(
            decode_video, Source(path=str(path), source=path.name), "v", SETTINGS, 1, folder, stall_seconds=60)
    except UnreadableVideoError:
        return False
    return len(read_records(folder / "clips.json", Clip)) > 0


@pytest.mark.parametrize("kind", ["constant", "variable_mp4", "open_gop", "edit_list"])
def test_damaged_pictures_are_never_taken_for_others(
    kind: str, worker: KillableWorker, tmp_path: Path, seeds: range
) -> None:
    """The times of an MP4 stand in its index, which is left whole here: so the truth stays what it was."""
    path = tmp_path / f"damaged{VARIANTS[kind].suffix}"
    truth = write_numbered(path, kind, 250, 320, 180)
    good = path.read_bytes()
    pictures = (good.index(b"mdat") + 4, good.index(b"moov") - 4)
    checked = 0
    for seed in seeds:
        path.write_bytes(_damaged(good, pictures, seed))
        if _decode(worker, path, tmp_path / str(seed)):
            checked += _check_pictures(tmp_path / str(seed), truth, seed)
    assert checked > 20


@pytest.mark.parametrize("kind", ["constant", "edit_list", "variable_mkv", "plain_ts"])
def test_damage_anywhere_ends_as_data_or_with_a_reason(
    kind: str, worker: KillableWorker, tmp_path: Path, seeds: range
) -> None:
    """Times may be damaged too, and then no one knows what was to be shown when; the order still holds."""
    path = tmp_path / f"damaged{VARIANTS[kind].suffix}"
    write_numbered(path, kind, 250, 320, 180)
    good = path.read_bytes()
    kept = 0
    for seed in seeds:
        path.write_bytes(_damaged(good, (0, len(good)), seed))
        folder = tmp_path / str(seed)
        if _decode(worker, path, folder):
            kept += 1
            times = pq.read_table(folder / "frames.parquet", columns=["t_s"])["t_s"].to_pylist()
            assert times == sorted(set(times))
    assert kept > 0


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
