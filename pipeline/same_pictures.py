"""Videos that show the same pictures as another one: the same film in another file.

A second of a video is known by the hash of its picture. Copies are found by hashes that are the same to the bit
(most survive a new encoding), and then compared second by second with a little tolerance.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.picture_hash import bit_distances

ALIKE_BITS = 6
_SAME_FROM = 0.8
"""Share of the seconds of each video that must be found in the other."""
FEWEST_PICTURES = 8
_COMMON_FROM = 0.1
"""Share of hashes that two videos must have in common before they are compared."""
_TOO_COMMON = 50
"""A picture in more videos than this (a logo, a test card) says nothing about any of them."""
_BLOCK = 1024


def find_same_pictures(decoded: Mapping[str, Path]) -> dict[str, str]:
    """Which videos show what another one shows.

    Args:
        decoded: the product of the decode stage of each video.

    Returns:
        For each video to leave out the one that stays: of alike videos the one with the smallest id.
    """
    hashes = {video_id: found for video_id in sorted(decoded)
              if len(found := distinct_hashes(decoded[video_id])) >= FEWEST_PICTURES}
    same: dict[str, str] = {}
    for one, other in sorted(_candidates(hashes)):
        if other not in same and one not in same and _are_same(hashes[one], hashes[other]):
            same[other] = one
    return same


def distinct_hashes(decoded: Path) -> np.ndarray:
    """The distinct hashes of one look a second of a decode product, plain pictures left out; int64, ascending."""
    looks = pq.read_table(decoded / "looks.parquet", columns=["picture_hash", "flat"])
    hashes = looks["picture_hash"].to_numpy()[~looks["flat"].to_numpy()]
    return np.unique(hashes[::4])


def _candidates(hashes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Pairs of videos, the smaller id first, with enough hashes in common."""
    seen_in: dict[int, list[str]] = defaultdict(list)
    for video_id, found in hashes.items():
        for one in found.tolist():
            seen_in[one].append(video_id)
    common: Counter[tuple[str, str]] = Counter()
    for videos in seen_in.values():
        if 1 < len(videos) <= _TOO_COMMON:
            common.update((one, other) for number, one in enumerate(videos) for other in videos[number + 1:])
    for (one, other), count in common.items():
        if count >= _COMMON_FROM * min(len(hashes[one]), len(hashes[other])):
            yield one, other


def _are_same(some: np.ndarray, others: np.ndarray) -> bool:
    return min(_share_found(some, others), _share_found(others, some)) >= _SAME_FROM


def _share_found(some: np.ndarray, others: np.ndarray) -> float:
    found = 0
    for at in range(0, len(some), _BLOCK):
        found += int((bit_distances(some[at:at + _BLOCK], others) <= ALIKE_BITS).any(axis=1).sum())
    return found / len(some)
