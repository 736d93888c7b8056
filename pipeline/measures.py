"""What can be measured in the pixels of a clip: light, colours, and what moves which way."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from pipeline.colour_names import COLOUR_NAMES, ColourNamer
from schemas.records import Measures

_MOVES_FROM = 0.03
"""Speed in picture widths per second from which a point counts as moving; flow noise lies below."""
_CLEAR_DIRECTION = 0.6
"""Length of the mean motion over the mean length of motion from which all motion has one direction."""
_COLOUR_FROM_SHARE = 0.15
_BAR_LUMA = 32


@dataclass(slots=True)
class _Sums:
    lumas: list[float] = field(default_factory=list)
    colours: list[np.ndarray] = field(default_factory=list)
    motions: list[tuple[float, float, float, float]] = field(default_factory=list)


class ClipMeasures:
    """Collects measurements of one clip after the other."""

    def __init__(self) -> None:
        self._namer = ColourNamer()
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._sums = _Sums()

    def look(self, small_yuv: np.ndarray, small_bgr: np.ndarray) -> None:
        """Take light and colours of a picture, uint8 [h, w, 3] each, black bars around it left out."""
        box = inside_bars(small_yuv[..., 0])
        self._sums.lumas.append(float(small_yuv[box][..., 0].mean()) / 255)
        self._sums.colours.append(self._namer.shares(small_bgr[box]))

    def compare(self, luma: np.ndarray, later: np.ndarray, seconds: float) -> None:
        """Take the motion between two pictures of the same shot, uint8 [h, w], `seconds` apart."""
        flow = self._flow.calc(np.ascontiguousarray(luma), np.ascontiguousarray(later), None)
        speed = flow / (luma.shape[1] * seconds)
        length = np.hypot(speed[..., 0], speed[..., 1])
        moving = length > _MOVES_FROM
        x, y = speed[moving].mean(axis=0) if moving.any() else (0.0, 0.0)
        mean_length = float(length[moving].mean()) if moving.any() else 0.0
        self._sums.motions.append((float(moving.mean()), mean_length, float(x), float(y)))

    def finish(self) -> Measures:
        """The measures of the clip so far; the next call starts a new clip."""
        sums, self._sums = self._sums, _Sums()
        shares = np.mean(sums.colours, axis=0) if sums.colours else np.zeros(len(COLOUR_NAMES))
        motions = np.array(sums.motions or [(0.0, 0.0, 0.0, 0.0)])
        moving_share = float(motions[:, 0].mean())
        return Measures(
            motion=_rounded(_weighted(motions, 1)),
            brightness=_rounded(float(np.mean(sums.lumas)) if sums.lumas else 0.0),
            colours=[COLOUR_NAMES[i] for i in np.argsort(-shares, kind="stable") if shares[i] >= _COLOUR_FROM_SHARE],
            colour_shares={name: _rounded(share) for name, share in zip(COLOUR_NAMES, shares, strict=True)},
            moving_share=_rounded(moving_share),
            direction=_direction(_weighted(motions, 2), _weighted(motions, 3), _weighted(motions, 1)),
            brightness_change=_rounded(_change(sums.lumas)),
        )


def inside_bars(luma: np.ndarray) -> tuple[slice, slice]:
    """The part of a picture, uint8 [h, w], without black bars at its sides; all of it when it is black."""
    lit = luma > _BAR_LUMA
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if len(rows) == 0:
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _weighted(motions: np.ndarray, column: int) -> float:
    """Mean of a column over all moving points of all pairs."""
    weights = motions[:, 0]
    return float((motions[:, column] * weights).sum() / weights.sum()) if weights.sum() else 0.0


def _direction(x: float, y: float, mean_length: float) -> str | None:
    if mean_length == 0 or np.hypot(x, y) < _CLEAR_DIRECTION * mean_length:
        return None
    if abs(x) >= abs(y):
        return "right" if x > 0 else "left"
    return "down" if y > 0 else "up"


def _change(lumas: list[float]) -> float:
    third = len(lumas) // 3
    return float(np.mean(lumas[-third:]) - np.mean(lumas[:third])) if third else 0.0


def _rounded(value: float) -> float:
    """Four digits: enough to read, few enough to be the same on every run."""
    return round(float(value), 4)
