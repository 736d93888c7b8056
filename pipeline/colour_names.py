"""Names for colours, as plain as a person would say them."""

import cv2
import numpy as np

COLOUR_NAMES = (
    "black", "grey", "white", "red", "orange", "brown", "yellow", "green", "turquoise", "blue", "purple", "pink",
)
_LEVELS = 32


class ColourNamer:
    """Counts the named colours of a picture by a table over 32³ colours."""

    def __init__(self) -> None:
        self._table = _name_table()

    def shares(self, small_bgr: np.ndarray) -> np.ndarray:
        """Share of each of `COLOUR_NAMES` in a picture.

        Args:
            small_bgr: uint8 [h, w, 3].

        Returns:
            float64 [12], sums to 1.
        """
        level = (small_bgr >> 3).reshape(-1, 3).astype(np.int32)
        names = self._table[level[:, 0] * (_LEVELS * _LEVELS) + level[:, 1] * _LEVELS + level[:, 2]]
        return np.bincount(names, minlength=len(COLOUR_NAMES)) / len(names)


def _name_table() -> np.ndarray:
    """The colour name of each of 32³ (blue, green, red) levels, as an index into `COLOUR_NAMES`."""
    axis = np.arange(_LEVELS, dtype=np.uint8) * 8 + 4
    bgr = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(1, -1, 3)
    hue, saturation, value = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)[0].T.astype(np.int32)
    return np.select(
        [value < 45, (saturation < 36) & (value > 200), saturation < 36, *_chromatic(hue * 2, value)],
        [_index("black"), _index("white"), _index("grey"), *map(_index, (
            "brown", "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "red"))],
    )


def _chromatic(hue: np.ndarray, value: np.ndarray) -> list[np.ndarray]:
    """Conditions on hue (degrees) in the order of the names given in `_name_table`."""
    return [
        (hue >= 12) & (hue < 50) & (value < 150), hue < 15, hue < 45, hue < 70, hue < 160, hue < 195, hue < 255,
        hue < 295, hue < 340, hue <= 360,
    ]


def _index(name: str) -> int:
    return COLOUR_NAMES.index(name)
