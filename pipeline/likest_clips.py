"""The clips of a video that are most like what a clue says or shows: where else it might be seen."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.likeness import WordLikeness
from pipeline.picture_hash import bit_distances
from schemas.records import Caption, Clue

_EVERY = 4
"""Of four looks a second, one is compared."""


class LikestClips:
    """Ranks the clips of one video by their likeness to a clue, by words and by pictures."""

    def __init__(self, decoded_folder: Path, captions: Sequence[Caption]) -> None:
        self._captioned = [caption.clip_index for caption in captions]
        self._words = WordLikeness([caption.caption for caption in captions])
        looks = pq.read_table(decoded_folder / "looks.parquet", columns=["clip_index", "picture_hash", "flat"])
        telling = np.flatnonzero(~looks["flat"].to_numpy())[::_EVERY]
        self._clips = looks["clip_index"].to_numpy()[telling]
        self._hashes = looks["picture_hash"].to_numpy()[telling]
        self._first_of = np.flatnonzero(np.diff(self._clips, prepend=-1))

    def others(self, clue: Clue, count: int) -> list[int]:
        """At most `count` clips besides the clue's own: the likest by words, by pictures, the second by words, …"""
        own = set(clue.clip_indexes)
        ranked = chain.from_iterable(zip_longest(self._by_words(clue), self._by_pictures(clue)))
        return [clip for clip in dict.fromkeys(ranked) if clip is not None and clip not in own][:count]

    def _by_words(self, clue: Clue) -> list[int]:
        shares = self._words.shares(clue.text)
        return [self._captioned[at] for at in sorted(shares, key=lambda at: (-shares[at], self._captioned[at]))]

    def _by_pictures(self, clue: Clue) -> list[int]:
        """By how near, on average, the nearest picture of a clip is to each picture of the clue's clips."""
        mine = self._hashes[np.isin(self._clips, clue.clip_indexes)]
        if not len(mine):
            return []
        nearest = np.minimum.reduceat(bit_distances(mine, self._hashes), self._first_of, axis=1).mean(axis=0)
        clips = self._clips[self._first_of]
        return [int(clip) for clip in clips[np.lexsort((clips, nearest))]]
