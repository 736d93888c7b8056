"""Where the stored frames of all videos and images lie: every column of `frames` but the pictures."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.training.shard_files import ShardError, open_table, read_group, table_files

_COLUMNS = ["video_id", "frame_index", "t_s", "width", "height"]


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Frames of several data sets, numbered 0 ... N-1 in the order in which they are stored; G row groups, V videos.

    A video (or an image, or the images of one dialogue) is known by `{number of its data set}:{video_id}`.
    """

    files: tuple[Path, ...]
    group_file: np.ndarray
    """int32 [G]: the file of each row group."""
    group_number: np.ndarray
    """int32 [G]: its number in that file."""
    group_start: np.ndarray
    """int64 [G + 1]: its first frame."""
    videos: pa.Array
    """[V] names."""
    video_order: np.ndarray
    """int64 [V]: their numbers, sorted by name."""
    video_start: np.ndarray
    """int64 [V + 1]: the first frame of each video."""
    t_s: np.ndarray
    """float64 [N], NaN for images."""
    frame_index: np.ndarray
    """int32 [N]."""
    width: np.ndarray
    """int32 [N]."""
    height: np.ndarray
    """int32 [N]."""

    def find(self, names: pa.Array) -> np.ndarray:
        """int64: the number of each named video, -1 where it has no frames."""
        places = pc.fill_null(pc.index_in(names, value_set=self.videos), -1)
        return places.to_numpy(zero_copy_only=False).astype(np.int64)

    def number(self, name: str) -> int:
        """The number of a video that has frames. (`find` goes over all names, which pays for many at a time only.)"""
        place = bisect_left(self.video_order, name, key=lambda number: self.videos[int(number)].as_py())
        return int(self.video_order[place])

    def frames_of(
        self, video: int, start_s: float | None, end_s: float | None, frame_indexes: Sequence[int]
    ) -> np.ndarray:
        """int64: the stored frames of a stretch of a video, in order.

        Args:
            video: its number.
            start_s, end_s: the stretch in seconds, its end not part of it; None: everything.
            frame_indexes: these frames only, in this order; empty: all of the stretch.

        Raises:
            KeyError: a frame that is named is not stored.
        """
        first, last = int(self.video_start[video]), int(self.video_start[video + 1])
        if len(frame_indexes):
            wanted = np.asarray(frame_indexes, dtype=np.int64)
            at = np.searchsorted(self.frame_index[first:last], wanted)
            if (at >= last - first).any() or (self.frame_index[first + at] != wanted).any():
                raise KeyError(f"not all of the frames {list(frame_indexes)[:5]} of {self.videos[video]} are stored")
            return first + at
        if start_s is None or end_s is None or np.isnan(self.t_s[first]):
            return np.arange(first, last)
        return first + np.arange(*np.searchsorted(self.t_s[first:last], [start_s, end_s]))


def read_frame_table(roots: Sequence[Path]) -> FrameTable:
    """Read what is known of the frames of some data sets.

    Raises:
        ShardError: a file is damaged or has other columns, or the frames of a video do not lie together.
    """
    files: list[Path] = []
    group_file, group_number, sizes, videos, starts = [], [], [], [], []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS[1:]}
    total, before = 0, None
    for number, root in enumerate(roots):
        for path in table_files(root, "frames"):
            file = open_table(path, "frames")
            for group in range(file.num_row_groups):
                table = read_group(file, path, group, _COLUMNS)
                names = _names(number, table["video_id"])
                for name, values in columns.items():
                    values.append(_plain(table[name]))
                begins = _begins(names, before)
                videos.append(names.take(pa.array(begins)))
                starts.append(total + begins)
                before = names[-1].as_py() if len(names) else before
                group_file.append(len(files))
                group_number.append(group)
                sizes.append(len(table))
                total += len(table)
            files.append(path)
    names = pa.chunked_array(videos, pa.string()).combine_chunks() if videos else pa.array([], pa.string())
    if len(pc.unique(names)) != len(names):
        raise ShardError("the frames of a video do not lie together: build or import the data set again")
    return FrameTable(
        files=tuple(files), group_file=np.array(group_file, np.int32), group_number=np.array(group_number, np.int32),
        group_start=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), videos=names,
        video_order=pc.array_sort_indices(names).to_numpy().astype(np.int64),
        video_start=np.concatenate([*starts, [total]]).astype(np.int64),
        t_s=_joined(columns["t_s"], np.float64), frame_index=_joined(columns["frame_index"], np.int32),
        width=_joined(columns["width"], np.int32), height=_joined(columns["height"], np.int32))


class FrameReader:
    """Reads the pictures of frames; keeps the row groups that were used last."""

    def __init__(self, table: FrameTable, groups_kept: int) -> None:
        """
        Args:
            table: where the frames lie.
            groups_kept: row groups, of 32 to 64 MiB each, to keep in memory.
        """
        self._table, self._groups_kept = table, groups_kept
        self._groups: dict[int, pa.Array] = {}
        self._files: dict[int, pq.ParquetFile] = {}

    def read(self, frames: np.ndarray) -> list[bytes | None]:
        """The encoded pictures of some frames; None for a frame without one.

        Raises:
            ShardError: a file cannot be read.
        """
        groups = np.searchsorted(self._table.group_start, frames, side="right") - 1
        return [
            self._group(int(group))[int(frame - self._table.group_start[group])].as_py()
            for frame, group in zip(frames, groups, strict=True)
        ]

    def _group(self, group: int) -> pa.Array:
        pictures = self._groups.pop(group, None)
        if pictures is None:
            number = int(self._table.group_file[group])
            path = self._table.files[number]
            if number not in self._files:
                self._files[number] = open_table(path, "frames")
            table = read_group(self._files[number], path, int(self._table.group_number[group]), ["image"])
            pictures = pc.struct_field(table["image"].combine_chunks(), "bytes")
        self._groups[group] = pictures
        while len(self._groups) > self._groups_kept:
            del self._groups[next(iter(self._groups))]
        return pictures


def _names(number: int, video_ids: pa.ChunkedArray) -> pa.Array:
    return pc.binary_join_element_wise(str(number), video_ids.combine_chunks(), ":")


def _begins(names: pa.Array, before: str | None) -> np.ndarray:
    """Positions at which another video begins than the one before."""
    if not len(names):
        return np.empty(0, np.int64)
    differs = pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)
    return np.flatnonzero(np.concatenate([[names[0].as_py() != before], differs]))


def _plain(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().to_numpy(zero_copy_only=False)


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts).astype(kind) if parts else np.empty(0, kind)
