"""The media that records name: images are checked and measured, videos go through the decode stage.

Both happen in processes that may hang or die: the files are strangers'.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.captions import make_captioner
from pipeline.journal import Journal
from pipeline.killable_worker import Report, WorkerCrashedError, WorkerPool, WorkerStalledError
from pipeline.picture_hash import picture_hash
from pipeline.video_stages import VideoRejectedError, Workshop, decode, identify_source
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.damaged_pictures import UNDECODABLE
from schemas.import_config import ImportConfig
from schemas.reasons import Reason
from schemas.records import Source

_IMAGES_AT_A_TIME = 64
_MOST_PIXELS = 36_000_000
_CAPTION_SIDE = 64  # nobody captions these videos; the smallest that the decode stage makes


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a medium cannot be used."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image that decodes."""

    video_id: str
    """Hash of its bytes."""
    width: int
    height: int
    """Upright, as its EXIF entry turns it."""
    picture_hash: int
    codec: str


@dataclass(frozen=True, slots=True)
class VideoProduct:
    """A video that was decoded."""

    video_id: str
    decoded: Path


Medium = ImageFacts | VideoProduct


class MediaReader:
    """Reads media, so many at a time."""

    def __init__(self, config: ImportConfig, store: WorkStore) -> None:
        self._folder = Path(config.media or ".")
        self._stall_seconds = config.stall_seconds
        self._threads = ThreadPoolExecutor(max_workers=config.workers)
        self._workers = WorkerPool(config.workers)
        self._journal = Journal(store.root)
        decoding = BuildConfig(
            min_last_clip_seconds=0, caption_frames=1, caption_frame_side=_CAPTION_SIDE, max_hours=config.max_hours,
            frame_side=config.frame_side, jpeg_quality=config.jpeg_quality, decode_threads=config.decode_threads,
            stall_seconds=config.stall_seconds)
        self._shop = Workshop(decoding, store, self._journal, self._workers, make_captioner(decoding))

    def __enter__(self) -> "MediaReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._workers.__exit__()
        self._journal.close()

    def read_images(self, paths: Sequence[str], told: Callable[[int], None]) -> dict[str, ImageFacts | Fault]:
        """Check images.

        Args:
            paths: relative to the folder of media.
            told: called with the number of images that were checked since.
        """
        groups = [paths[at:at + _IMAGES_AT_A_TIME] for at in range(0, len(paths), _IMAGES_AT_A_TIME)]
        found: dict[str, ImageFacts | Fault] = {}
        for facts in self._threads.map(self._read_group, groups):
            found |= facts
            told(len(facts))
        return found

    def read_videos(self, paths: Sequence[str], told: Callable[[int], None]) -> dict[str, VideoProduct | Fault]:
        """Decode videos, each once for all imports into this output.

        Args:
            paths: relative to the folder of media.
            told: called with the number of videos that were decoded since.
        """
        found: dict[str, VideoProduct | Fault] = {}
        for path, video in zip(paths, self._threads.map(self._read_video, paths), strict=True):
            found[path] = video
            told(1)
        return found

    def _read_group(self, paths: Sequence[str]) -> dict[str, ImageFacts | Fault]:
        try:
            with self._workers.borrow() as worker:
                found = worker.run(check_images, [str(self._folder / path) for path in paths],
                                   stall_seconds=self._stall_seconds)
            return dict(zip(paths, found, strict=True))
        except (WorkerStalledError, WorkerCrashedError) as error:
            if len(paths) > 1:  # which of them it was is found by trying them one by one
                return {path: facts for path in paths for facts in self._read_group([path]).values()}
            stalled = isinstance(error, WorkerStalledError)
            return {paths[0]: Fault(Reason.DECODER_STALLED if stalled else Reason.DECODER_CRASHED, str(error))}

    def _read_video(self, path: str) -> VideoProduct | Fault:
        source = Source(path=str((self._folder / path).absolute()), source=path)
        try:
            video_id = identify_source(self._shop, source)
            return VideoProduct(video_id, decode(self._shop, source, video_id))
        except VideoRejectedError as error:
            return Fault(error.rejection.reason, error.rejection.detail)


def check_images(report: Report, paths: list[str]) -> list[ImageFacts | Fault]:
    """Decode images and measure them."""
    found = []
    for number, path in enumerate(paths):
        report(number / len(paths))
        found.append(_check_image(path))
    return found


def _check_image(path: str) -> ImageFacts | Fault:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return Fault(Reason.MISSING_FILE, error.strerror or "it cannot be read")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > _MOST_PIXELS:
                return Fault(Reason.TOO_MANY_PIXELS, f"{image.width} × {image.height}")
            codec = image.format
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except UNDECODABLE as error:
        # PIL's words name the file it was given: a buffer somewhere in memory.
        return Fault(Reason.PICTURE_UNREADABLE, str(error).split("<")[0].strip())
    return ImageFacts(
        hashlib.sha256(data).hexdigest()[:32], upright.width, upright.height,
        picture_hash(np.asarray(upright.convert("L"))), codec)
