"""The order of the rows of an epoch.

Row groups are put in random order, and the rows inside each. The sequence that results is cut into S equal
stretches, the streams, from which rows are taken in turn. So rows that follow one another come from S row groups at
random places in the data, while no more than S row groups need to be open; and a rank that takes every R-th row
meets the row groups of S / R streams only.
"""

from collections.abc import Sequence

import numpy as np


def rows_per_epoch(rows: int, weight: float) -> int:
    """How many rows of a source with so many rows an epoch has."""
    return max(1, round(rows * weight)) if rows else 0


def rows_of_epoch(rows: Sequence[np.ndarray], weights: Sequence[float], epoch: int, seed: int) -> np.ndarray:
    """int64: the rows that an epoch sees, source after source.

    A weight of 1 takes every row once. With any other the epochs go through the rows of a source in one fixed
    random order, each going on where the one before stopped: no row is seen n + 1 times before all were n times.

    Args:
        rows: of each source.
        weights: of each source.
        epoch: from 0.
        seed: of the fixed order.
    """
    taken = []
    for number, (some, weight) in enumerate(zip(rows, weights, strict=True)):
        count = rows_per_epoch(len(some), weight)
        if count == len(some):
            taken.append(some)
        elif count:
            places = (epoch * count + np.arange(count)) % len(some)
            taken.append(np.random.default_rng([seed, 1, number]).permutation(some)[places])
    return np.concatenate(taken) if taken else np.empty(0, np.int64)


def shuffled(rows: np.ndarray, chunks: np.ndarray, streams: int, epoch: int, seed: int) -> np.ndarray:
    """int64 [n]: the rows in the order of an epoch.

    Args:
        rows: int64 [n].
        chunks: int64 [n]: the row group in which each lies.
        streams: S above.
        epoch: from 0.
        seed: of all epochs.
    """
    random = np.random.default_rng([seed, 2, epoch])
    names, of_row = np.unique(chunks, return_inverse=True)
    place_of_chunk = random.permutation(len(names))
    inside = random.permutation(len(rows))
    in_line = rows[np.lexsort((inside, place_of_chunk[of_row]))]
    ends = np.cumsum([len(rows) // streams + (stream < len(rows) % streams) for stream in range(streams)])
    starts = np.concatenate([[0], ends[:-1]])
    places = np.arange(len(rows))
    return in_line[starts[places % streams] + places // streams]
