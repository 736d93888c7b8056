"""How a film may look in somebody else's copy of it: with its edges cut away, its bars gone or added, mirrored."""

from collections.abc import Iterator

import numpy as np

_CROPS = (0.06, 0.12, 0.2)
"""Shares of width and height that are cut away, half of each on either side."""
_BARS = {"bars-above": (1 / 6, 0.0), "bars-beside": (0.0, 1 / 6), "wide-bars-beside": (0.0, 0.33)}
"""Black bars as shares of height and width, on each side: 16:9 in 4:3, in 21:9 as 4:3 in 16:9, and 9:16 in 16:9."""
_BLACK = 24
"""Luma, 0 to 255, up to which a row or column at the edge is part of a bar."""


def variants(luma: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture of each variant.

    Args:
        luma: uint8 [h, w].
    """
    height, width = luma.shape
    for share in _CROPS:
        top, left = round(height * share / 2), round(width * share / 2)
        yield f"cropped-{share:.0%}".rstrip("%"), luma[top:height - top, left:width - left]
    for name, (above, beside) in _BARS.items():
        high, wide = round(height * above), round(width * beside)
        yield name, np.pad(luma, ((high, high), (wide, wide)), constant_values=16)
    yield "mirrored", luma[:, ::-1]


Edges = tuple[float, float, float, float]
"""Where a picture begins and ends inside its bars: top, bottom, left, right, as shares of height and width."""


def inside_bars(lumas: list[np.ndarray]) -> Edges:
    """What is left of the pictures of one film without the bars that all of them have.

    Args:
        lumas: uint8 [h, w] each, of one size, at least one.
    """
    brightest = np.maximum.reduce(lumas)
    rows = np.flatnonzero((brightest > _BLACK).any(axis=1))
    columns = np.flatnonzero((brightest > _BLACK).any(axis=0))
    if not len(rows):
        return 0.0, 1.0, 0.0, 1.0
    height, width = brightest.shape
    return (float(rows[0] / height), float((rows[-1] + 1) / height), float(columns[0] / width),
            float((columns[-1] + 1) / width))


def cut(luma: np.ndarray, edges: Edges) -> np.ndarray:
    """The part of a picture, uint8 [h, w], inside its edges."""
    height, width = luma.shape
    top, bottom, left, right = edges
    return luma[round(top * height):round(bottom * height), round(left * width):round(right * width)]
