"""A 64-bit hash of what a picture looks like: like pictures differ in few bits (DCT hash)."""

import cv2
import numpy as np

ALIKE_BITS = 10
"""Pictures whose hashes differ in at most so many of 64 bits are taken to be the same picture."""
FLAT_DEVIATION = 8.0
"""Below this standard deviation of luma (0 to 255) a picture is too plain for its hash to mean anything."""


def picture_hash(luma: np.ndarray) -> int:
    """The hash of a picture as a signed 64-bit number.

    The 8 × 8 lowest frequencies of the cosine transform, each above or below their median, the
    constant part left out of the median.

    Args:
        luma: uint8 [h, w].
    """
    tiny = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(tiny)[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return int(np.packbits(bits).view(">i8")[0])


def is_flat(luma: np.ndarray) -> bool:
    """Whether a picture is too plain to be recognised by its hash."""
    return float(luma.std()) < FLAT_DEVIATION


def bit_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits hashes differ.

    Args:
        some: int64 [m].
        others: int64 [n].

    Returns:
        uint8 [m, n], 0 to 64.
    """
    return np.bitwise_count(some[:, None].view(np.uint64) ^ others[None, :].view(np.uint64))
