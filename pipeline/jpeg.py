"""Decoded frames as upright JPEGs of a given size."""

import av
import cv2
import numpy as np

_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def upright_bgr(frame: av.VideoFrame, shorter_side: int, upright: tuple[int, int], rotation: int) -> np.ndarray:
    """A frame scaled so that its shorter side has `shorter_side` pixels, and turned upright.

    Args:
        frame: a decoded frame, as stored.
        shorter_side: pixels; a smaller picture is not enlarged.
        upright: width and height of the video as shown, in square pixels.
        rotation: degrees counter-clockwise to turn the stored picture by.

    Returns:
        uint8 [h, w, 3], blue green red.
    """
    width, height = upright
    scale = min(1.0, shorter_side / min(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    if rotation % 180:
        width, height = height, width
    # Scaling the planes first and converting the small picture takes half the time of doing both at once.
    if frame.format.name == "yuv420p":
        frame = frame.reformat(width=width, height=height, interpolation="AREA")
    bgr = frame.reformat(width=width, height=height, format="bgr24", interpolation="AREA").to_ndarray()
    return cv2.rotate(bgr, _TURNS[rotation]) if rotation in _TURNS else bgr


def encode_jpeg(bgr: np.ndarray, quality: int) -> bytes:
    """A picture, uint8 [h, w, 3], as JPEG bytes; the same picture gives the same bytes."""
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()
