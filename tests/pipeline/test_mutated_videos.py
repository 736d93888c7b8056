"""Hundreds of harmed videos go through probe and cut: nothing takes the run down, hangs, or eats the memory."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.decode import UnreadableVideoError
from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.identify import identify
from pipeline.killable_worker import KillableWorker, WorkerCrashedError, WorkerStalledError
from schemas.records import Source
from tests.mutated_videos import mutated, write_originals
from tests.worker_memory import peak_mb

SETTINGS = DecodeSettings(
    clip_seconds=2, min_last_clip_seconds=1, max_hours=24, caption_frames=2, caption_frame_side=64, frame_side=64,
    jpeg_quality=80)
MOST_MB = 2048
LONGEST_S = 60.0


@pytest.fixture
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def test_harmed_videos_do_no_harm(worker: KillableWorker, tmp_path: Path, long_tests: bool) -> None:
    originals = [path.read_bytes() for path in write_originals(tmp_path)]
    outcomes: Counter[str] = Counter()
    for seed in range(2000 if long_tests else 200):
        path, folder = tmp_path / "harmed", tmp_path / f"product-{seed}"
        path.write_bytes(mutated(originals[seed % len(originals)], seed))
        folder.mkdir()
        try:
            outcomes[_outcome(worker, path, folder)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    print(dict(outcomes))
    assert outcomes["hangs"] == 0
    assert outcomes["cut"] > 20
    assert sum(outcomes.values()) - outcomes["cut"] > 20


def _outcome(worker: KillableWorker, path: Path, folder: Path) -> str:
    source = Source(path=str(path), source=path.name)
    try:
        video_id = worker.run(identify, source.path, stall_seconds=LONGEST_S)
        worker.run(decode_video, source, video_id, SETTINGS, 2, folder, stall_seconds=LONGEST_S)
    except UnreadableVideoError as error:
        return str(error.reason)
    except WorkerCrashedError:
        return "crashes"  # of the decoding process alone; the next video starts another one
    except WorkerStalledError:
        return "hangs"
    finally:
        assert worker.run(peak_mb, stall_seconds=LONGEST_S) < MOST_MB
    return "cut"

