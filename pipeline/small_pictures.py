"""Small copies of decoded frames, made without converting whole frames.

Shots need a picture of some 64 × 36 pixels of every frame of the film; motion, colours and picture hashes
one twice as wide, a few times a second. Taking every n-th sample of the decoded planes costs a few
hundredths of the decode; converting every frame to RGB would double it.
"""

import av
import cv2
import numpy as np

SHOT_WIDTH = 60
LOOK_WIDTH = 120
_PLANAR_8_BIT = {
    "yuv420p": 2, "yuvj420p": 2, "yuv422p": 2, "yuvj422p": 2, "yuv444p": 1, "yuvj444p": 1,
}
"""Formats whose planes are sampled as they lie, with the horizontal step of their chroma planes."""


def small_yuv(frame: av.VideoFrame, width: int) -> np.ndarray:
    """A small copy of a frame.

    Args:
        frame: as decoded.
        width: pixels that the copy has at least, where the frame has twice as many.

    Returns:
        uint8 [h, w, 3], luma and the two chroma components.
    """
    if frame.format.name not in _PLANAR_8_BIT:
        frame = _as_yuv420p(frame)
    step = max(2, frame.width // width // 2 * 2)
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


def full_luma(frame: av.VideoFrame) -> np.ndarray:
    """The luma of a frame as it lies, uint8 [h, w]; of rarer formats at the small size."""
    return _plane(frame if frame.format.name in _PLANAR_8_BIT else _as_yuv420p(frame), 0)


def small_luma(luma: np.ndarray) -> np.ndarray:
    """The luma that `small_yuv` makes for a look, of a picture uint8 [h, w]."""
    step = max(2, luma.shape[1] // LOOK_WIDTH // 2 * 2)
    return np.ascontiguousarray(luma[::step, ::step])


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
    height = max(2, round(frame.height * LOOK_WIDTH * 2 / frame.width / 2) * 2)
    return frame.reformat(width=LOOK_WIDTH * 2, height=height, format="yuv420p", interpolation="FAST_BILINEAR")
