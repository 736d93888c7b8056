"""Small copies of decoded frames, made without converting whole frames.

Shots, motion, colours and picture hashes need a picture of some 128 × 72 pixels, for every frame of
the film. Taking every n-th sample of the decoded planes costs about a tenth of the decode;
converting every frame to RGB would double it.
"""

import av
import cv2
import numpy as np

_WIDTH = 120
_PLANAR_8_BIT = {
    "yuv420p": 2, "yuvj420p": 2, "yuv422p": 2, "yuvj422p": 2, "yuv444p": 1, "yuvj444p": 1,
}
"""Formats whose planes are sampled as they lie, with the horizontal step of their chroma planes."""


def small_yuv(frame: av.VideoFrame) -> np.ndarray:
    """A small copy of a frame.

    Returns:
        uint8 [h, w, 3], luma and the two chroma components, w 120 to 180 pixels for any film larger than that.
    """
    if frame.format.name not in _PLANAR_8_BIT:
        frame = _as_yuv420p(frame)
    step = max(2, frame.width // _WIDTH // 2 * 2)
    luma = _plane(frame, 0)[::step, ::step]
    height, width = luma.shape
    small = np.empty((height, width, 3), dtype=np.uint8)
    small[..., 0] = luma
    for index in (1, 2):
        plane = _plane(frame, index)
        row_step = step * plane.shape[0] // _even(frame.height)
        column_step = step // _PLANAR_8_BIT[frame.format.name]
        small[..., index] = plane[::row_step, ::column_step][:height, :width]
    return small


def to_bgr(small: np.ndarray) -> np.ndarray:
    """A small picture [h, w, 3] from luma and chroma to blue, green, red."""
    return cv2.cvtColor(small, cv2.COLOR_YUV2BGR)


def _even(height: int) -> int:
    return height + height % 2


def _plane(frame: av.VideoFrame, index: int) -> np.ndarray:
    plane = frame.planes[index]
    return np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _as_yuv420p(frame: av.VideoFrame) -> av.VideoFrame:
    """Rarer formats (10 bit, RGB, palettes) are converted, already at the small size."""
    height = max(2, round(frame.height * _WIDTH * 2 / frame.width / 2) * 2)
    return frame.reformat(width=_WIDTH * 2, height=height, format="yuv420p", interpolation="FAST_BILINEAR")
