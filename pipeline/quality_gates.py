"""Whether a decoded video is worth asking about: long and large enough, and not black, frozen or a slideshow."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from schemas.reasons import Reason
from schemas.records import Video
from schemas.source_choices import SourceChoices

_BLACK_LUMA = 24.0
"""Mean luma (0 to 255) below which a plain picture is black; video writes black as 16."""
_STILL_CHANGE = 0.5
"""Mean change of luma (0 to 255) between two looks up to which nothing moves; a coder's noise lies below."""
_PICTURES_OF_A_SLIDESHOW = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a video is left out."""

    reason: Reason
    detail: str


def find_fault(video: Video, decoded: Path, choices: SourceChoices) -> Fault | None:
    """The first gate that a video does not pass, or None.

    Args:
        video: what the decode stage says of it.
        decoded: the product of the decode stage.
        choices: the limits.
    """
    if video.duration_s < choices.min_seconds:
        return Fault(Reason.TOO_SHORT, f"it lasts {video.duration_s:.1f} s, less than {choices.min_seconds:g} s")
    side = min(video.width, video.height)
    if side < choices.min_side:
        return Fault(Reason.TOO_SMALL, f"its shorter side has {side} pixels, fewer than {choices.min_side}")
    return _find_fault_in_pictures(decoded, choices)


def _find_fault_in_pictures(decoded: Path, choices: SourceChoices) -> Fault | None:
    """Four looks a second tell."""
    looks = pq.read_table(decoded / "looks.parquet", columns=["flat", "luma", "change"])
    black = looks["flat"].to_numpy() & (looks["luma"].to_numpy() < _BLACK_LUMA)
    if len(black) and black.mean() > choices.max_black:
        return Fault(Reason.MOSTLY_BLACK, f"{black.mean():.0%} of it is black, more than {choices.max_black:.0%}")
    change = looks["change"].to_numpy()
    compared = change[~np.isnan(change)]
    still = compared <= _STILL_CHANGE
    if len(still) and still.mean() > choices.max_still:
        # a picture between two changes counts when it stands for a look at least
        pictures = int((still[1:] & ~still[:-1]).sum()) + int(still[0])
        reason = Reason.SLIDESHOW if pictures >= _PICTURES_OF_A_SLIDESHOW else Reason.STANDS_STILL
        return Fault(
            reason, f"nothing moves in {still.mean():.0%} of it, more than {choices.max_still:.0%}: "
                    f"{pictures} {'pictures' if pictures > 1 else 'picture'}")
    return None
