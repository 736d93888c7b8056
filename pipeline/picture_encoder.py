"""Frames to JPEGs in a thread beside the decode: scaling and encoding leave Python's lock to the decoder."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Semaphore

import av

from pipeline.jpeg import encode_jpeg, upright_bgr

_MOST_WAITING = 8
"""Frames that may wait for the thread: each holds a full picture in memory."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded frame."""

    jpeg: bytes
    width: int
    height: int


class PictureEncoder:
    """Encodes the frames of one video, upright, one after another."""

    def __init__(self, upright: tuple[int, int], rotation: int, quality: int) -> None:
        """
        Args:
            upright: width and height of the video as shown, in square pixels.
            rotation: degrees counter-clockwise to turn the stored picture by.
            quality: JPEG quality.
        """
        self._upright, self._rotation, self._quality = upright, rotation, quality
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._room = Semaphore(_MOST_WAITING)

    def encode(self, frame: av.VideoFrame, shorter_side: int) -> Future[Picture]:
        """Have a frame encoded; waits when too many are waiting already."""
        self._room.acquire()
        return self._thread.submit(self._encode, frame, shorter_side)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _encode(self, frame: av.VideoFrame, shorter_side: int) -> Picture:
        try:
            bgr = upright_bgr(frame, shorter_side, self._upright, self._rotation)
            return Picture(encode_jpeg(bgr, self._quality), bgr.shape[1], bgr.shape[0])
        finally:
            self._room.release()
