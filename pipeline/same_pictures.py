"""Videos that show what another one shows: the same film in another file, or a part of it.

A second of a video is known by the hash of its picture. Copies are found by hashes that are the same to the bit
(most survive a new encoding), and then compared second by second with a little tolerance.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.picture_hash import bit_distances

ALIKE_BITS = 6
_SAME_FROM = 0.8
"""Share of the seconds of a video that must be found in the other."""
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
        For each video to leave out the one that stays: of alike videos the one with the smallest id, of a part and
        the whole the whole.
    """
    hashes = {video_id: found for video_id in sorted(decoded)
              if len(found := distinct_hashes(decoded[video_id])) >= FEWEST_PICTURES}
    shown = {(one, other): (_share_found(hashes[one], hashes[other]) >= _SAME_FROM,
                            _share_found(hashes[other], hashes[one]) >= _SAME_FROM)
             for one, other in sorted(_candidates(hashes))}
    stays: dict[str, str] = {}
    for (one, other), (one_is_shown, other_is_shown) in shown.items():
        if one_is_shown and other_is_shown and one not in stays and other not in stays:
            stays[other] = one
    for (one, other), (one_is_shown, other_is_shown) in shown.items():
        if one_is_shown != other_is_shown:
            part, whole = (one, other) if one_is_shown else (other, one)
            if part not in stays and _last(whole, stays) != part:
                stays[part] = whole
    return {video_id: _last(video_id, stays) for video_id in stays}


def _last(video_id: str, stays: Mapping[str, str]) -> str:
    """The one that stays in the end: a whole may itself be a copy."""
    while video_id in stays:
        video_id = stays[video_id]
    return video_id


def distinct_hashes(decoded: Path) -> np.ndarray:
    """The distinct hashes of one look a second of a decode product, plain pictures left out; int64, ascending."""
    looks = pq.read_table(decoded / "looks.parquet", columns=["picture_hash", "flat"])
    hashes = looks["picture_hash"].to_numpy()[~looks["flat"].to_numpy()]
    return np.unique(hashes[::4])


def _candidates(hashes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Pairs of videos, the smaller id first, with enough hashes in common."""
    if not hashes:
        return
    ids, counts = list(hashes), [len(found) for found in hashes.values()]
    for key, common in _pairs_in_common(list(hashes.values())).items():
        one, other = divmod(key, len(ids))
        if common >= _COMMON_FROM * min(counts[one], counts[other]):
            yield ids[one], ids[other]


def _pairs_in_common(hashes: Sequence[np.ndarray]) -> Counter[int]:
    """How many hashes each pair of videos shares, by `smaller number * videos + larger number`.

    All hashes lie side by side, 28 bytes each while they are sorted; a dictionary of them would take ten times that.
    """
    every = np.concatenate(hashes)
    owners = np.repeat(np.arange(len(hashes), dtype=np.int32), [len(found) for found in hashes])
    order = np.argsort(every, kind="stable")
    every, owners = every[order], owners[order].astype(np.int64)  # of one hash: owners in ascending order
    starts = np.flatnonzero(np.concatenate([[True], every[1:] != every[:-1]]))
    sizes = np.diff(starts, append=len(every))
    common: Counter[int] = Counter()
    for size in np.unique(sizes[(sizes > 1) & (sizes <= _TOO_COMMON)]).tolist():
        groups = owners[starts[sizes == size][:, None] + np.arange(size)]
        for one, other in itertools.combinations(range(size), 2):
            keys, times = np.unique(groups[:, one] * len(hashes) + groups[:, other], return_counts=True)
            common.update(dict(zip(keys.tolist(), times.tolist(), strict=True)))
    return common


def _share_found(some: np.ndarray, others: np.ndarray) -> float:
    found = 0
    for at in range(0, len(some), _BLOCK):
        found += int((bit_distances(some[at:at + _BLOCK], others) <= ALIKE_BITS).any(axis=1).sum())
    return found / len(some)
