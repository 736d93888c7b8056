"""Whether the pictures of a stretch come again elsewhere in the video."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.picture_hash import ALIKE_BITS, bit_distances

_STANDING_BITS = 16
"""Neighbouring looks that differ in at most so many bits are one picture standing (or slowly moving)."""
_RETURNS_FROM = 4
"""Looks (a second of them) that must come again before a stretch counts as returning."""
_ALONE_FROM = 2
"""Looks seen nowhere else that are enough for a moment of its own."""
_BLOCK = 512


class SceneReturns:
    """The looks of one video (four hashes a second), compared with each other."""

    def __init__(self, decoded_folder: Path, cuts_s: list[float]) -> None:
        table = pq.read_table(decoded_folder / "looks.parquet")
        table = table.filter(np.logical_not(table["flat"].to_numpy()))
        self._times = table["t_s"].to_numpy()
        self._clips = table["clip_index"].to_numpy()
        self._hashes = table["picture_hash"].to_numpy()
        self._shots = np.searchsorted(np.array(cuts_s), self._times, side="right")
        self._standing = _standing(self._hashes, self._times)

    def returns(self, start_s: float, end_s: float, clips: list[int]) -> bool:
        """Whether a second or more of [start_s, end_s) is seen in other clips too.

        A shot that merely goes on in the next clip, or a picture that stands on, does not return:
        something else must have been seen between.
        """
        return int(self._seen_elsewhere(start_s, end_s, clips).sum()) >= _RETURNS_FROM

    def returns_wholly(self, start_s: float, end_s: float, clips: list[int]) -> bool:
        """Whether, besides, not even half a second of it is seen nowhere else."""
        seen = self._seen_elsewhere(start_s, end_s, clips)
        return int(seen.sum()) >= _RETURNS_FROM and int((~seen).sum()) < _ALONE_FROM

    def _seen_elsewhere(self, start_s: float, end_s: float, clips: list[int]) -> np.ndarray:
        """For each look of a stretch, whether its picture is seen in other clips too."""
        inside = (self._times >= start_s) & (self._times < end_s)
        others = ~np.isin(self._clips, clips)
        mine, elsewhere = np.flatnonzero(inside), np.flatnonzero(others)
        seen = np.zeros(len(mine), dtype=bool)
        for at in range(0, len(mine), _BLOCK):
            block = mine[at:at + _BLOCK]
            alike = bit_distances(self._hashes[block], self._hashes[elsewhere]) <= ALIKE_BITS
            for going_on in (self._shots, self._standing):
                alike &= going_on[block][:, None] != going_on[elsewhere][None, :]
            seen[at:at + _BLOCK] = alike.any(axis=1)
        return seen


def _standing(hashes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A number for every look, the same while a picture stands (a cut can be found where none is seen)."""
    if len(hashes) == 0:
        return np.zeros(0, dtype=np.int64)
    change = np.bitwise_count(hashes[1:].view(np.uint64) ^ hashes[:-1].view(np.uint64))
    return np.concatenate([[0], np.cumsum((change > _STANDING_BITS) | (np.diff(times) > 1.0))])
