"""Which samples a mixture takes, what each is about and how long it is: numbers in arrays, read once at the start.

A million samples take about 50 MB. Words and pictures stay on the disk.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.image_tiles import best_canvas
from model.training.content_hash import ContentHash
from model.training.frame_table import FrameTable
from model.training.mixture import Mixture, MixtureError, MixtureSource
from model.training.shard_files import open_table, read_group, table_files

_COLUMNS = ["sample_id", "dataset", "kind", "split", "calibration", "min_frames", "video_id", "conversations", "media"]
_MARKS = ("<image>", "<video>")
ALONE = -1
"""The key of a sample that shares no media with another one, or not in a form that can be packed."""


@dataclass(frozen=True, slots=True)
class TextCosts:
    """What the template adds to the words, in bytes: a token has at least one byte, so bytes bound tokens."""

    conversation: int
    turn: int


@dataclass(slots=True)
class SourceCounts:
    """What became of the samples of one source that its names select."""

    left_out: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    kinds: set[str] = field(default_factory=set)
    """Kinds of samples that its folders hold."""


@dataclass(frozen=True, slots=True)
class SampleTable:
    """The samples that are trained on, n of them, and where they lie."""

    files: tuple[Path, ...]
    roots: tuple[int, ...]
    """The data set that each file belongs to."""
    group_file: np.ndarray
    """int32 [G]: the file of each row group."""
    group_number: np.ndarray
    """int32 [G]: its number there."""
    group: np.ndarray
    """int32 [n]: the row group of a sample."""
    row: np.ndarray
    """int32 [n]: its row there."""
    source: np.ndarray
    """int16 [n]: its source in the mixture."""
    text: np.ndarray
    """int32 [n]: an upper bound of its text tokens."""
    key: np.ndarray
    """int64 [n]: samples of one source with the same key are about the same frames; `ALONE`: about its own."""
    crops: np.ndarray
    """int32 [n]: frames and tiles it shows."""
    first_frame: np.ndarray
    """int64 [n]: its first frame in the frame table, -1 without media."""
    draw: np.ndarray
    """uint64 [n]: a number from its id alone, by which a cap chooses."""
    digest: str
    """A hash over the ids of all samples taken, in their order."""
    content: str
    """A hash over their conversations and media."""

    def keep(self, chosen: np.ndarray) -> "SampleTable":
        """The table with some of its samples: a mask [n]."""
        columns = {name: getattr(self, name)[chosen]
                   for name in ("group", "row", "source", "text", "key", "crops", "first_frame", "draw")}
        return SampleTable(
            self.files, self.roots, self.group_file, self.group_number, **columns, digest=self.digest,
            content=self.content)


class SampleScan:
    """Reads the samples of some data sets and sorts out which are trained on."""

    def __init__(
        self, mixture: Mixture, roots: Sequence[Path], frames: FrameTable, costs: TextCosts,
        tiles_of: "TileCount",
    ) -> None:
        """
        Args:
            mixture: its sources name folders that are all in `roots`.
            roots: the data sets.
            frames: the frames of the same data sets.
            costs: what the chat template adds.
            tiles_of: tiles of an image of some width and height.
        """
        self.counts = [SourceCounts() for _ in mixture.sources]
        self._mixture, self._roots, self._frames = mixture, roots, frames
        self._folders = [set(mixture.folders_of(source)) for source in mixture.sources]
        self._costs, self._tiles_of = costs, tiles_of
        self._digest, self._content = hashlib.sha256(), ContentHash()
        self._keys: dict[tuple, int] = {}
        self._facts: list[tuple[int, int]] = []
        self._parts: list[dict[str, np.ndarray]] = []

    def run(self) -> SampleTable:
        """Read everything.

        Raises:
            ShardError: a file is damaged or has other columns.
            MixtureError: two sources take the same samples.
        """
        files, roots, group_file, group_number = [], [], [], []
        for number, root in enumerate(self._roots):
            barred = _barred_videos(root)
            for path in table_files(root, "samples"):
                file = open_table(path, "samples")
                for group in range(file.num_row_groups):
                    table = read_group(file, path, group, _COLUMNS).combine_chunks()
                    self._take(table, number, barred, len(group_file))
                    group_file.append(len(files))
                    group_number.append(group)
                files.append(path)
                roots.append(number)
        kinds = {"group": np.int32, "row": np.int32, "source": np.int16, "text": np.int32, "key": np.int64,
                 "crops": np.int32, "first_frame": np.int64, "draw": np.uint64}
        columns = {name: np.concatenate([part[name] for part in self._parts]).astype(kind) if self._parts
                   else np.empty(0, kind) for name, kind in kinds.items()}
        return SampleTable(
            tuple(files), tuple(roots), np.array(group_file, np.int32), np.array(group_number, np.int32), **columns,
            digest=self._digest.hexdigest(), content=self._content.hexdigest())

    def _take(self, table: pa.Table, root: int, barred: "Barred", group: int) -> None:
        source = self._sources(table, root)
        talk, media = _Talk(table["conversations"]), _Media(table["media"])
        min_frames = pc.fill_null(table["min_frames"], 0).to_numpy()
        budgets = np.array([one.most_frames for one in self._mixture.sources])[source]
        left = np.flatnonzero(source >= 0)
        for reason, is_bad, holds in (
            ("not_train", False, pc.not_equal(table["split"], "train").to_numpy(zero_copy_only=False)),
            ("calibration", False, table["calibration"].to_numpy(zero_copy_only=False)
             | media.any_of(barred.calibration)),
            ("duplicate", False, media.any_of(barred.duplicates)),
            ("evidence_unseen", False, min_frames > budgets),
            ("turns_unusable", True, ~talk.is_usable),
            ("marks_and_media_differ", True, talk.marks != media.count),
        ):
            left = self._leave_out(left, source, holds, reason, is_bad)
        key, crops, first = self._subjects(left, source, media, root, talk.begins_with_mark)
        missing = np.zeros(len(source), bool)
        missing[left] = crops < 0
        whole = crops >= 0
        self._leave_out(left, source, missing, "frames_missing", True)
        left, key, crops, first = left[whole], key[whole], crops[whole], first[whole]
        ids = table["sample_id"].take(pa.array(left))
        for sample_id in ids.to_pylist():
            self._digest.update(f"{sample_id}\n".encode())
        for name in ("conversations", "media"):
            self._content.add(name, table[name].combine_chunks().take(pa.array(left)))
        self._parts.append({
            "group": np.full(len(left), group), "row": left, "source": source[left],
            "text": (talk.text_bytes + self._costs.conversation + self._costs.turn * talk.turns)[left],
            "key": key, "crops": crops, "first_frame": first, "draw": self._draws(source[left], ids)})

    def _leave_out(
        self, left: np.ndarray, source: np.ndarray, holds: np.ndarray, reason: str, is_bad: bool
    ) -> np.ndarray:
        """Count those of `left` for which `holds`, and return the others."""
        out = holds[left]
        for number, count in zip(*np.unique(source[left[out]], return_counts=True), strict=True):
            counts = self.counts[number]
            (counts.bad if is_bad else counts.left_out)[reason] += int(count)
        return left[~out]

    def _sources(self, table: pa.Table, root: int) -> np.ndarray:
        """int16: the source that takes each row, -1 for none."""
        pairs = pc.binary_join_element_wise(table["dataset"], table["kind"], "\0").combine_chunks().dictionary_encode()
        of_pairs = []
        for pair in pairs.dictionary.to_pylist():
            dataset, kind = pair.split("\0")
            taking = [number for number, source in enumerate(self._mixture.sources)
                      if source.takes(dataset, kind) and self._roots[root] in self._folders[number]]
            if len(taking) > 1:
                names = " and ".join(repr(self._mixture.sources[number].name) for number in taking)
                raise MixtureError(f"the sources {names} both take {kind!r} of {dataset!r}: every sample belongs to "
                                   "one source; narrow their datasets or kinds")
            of_pairs.append(taking[0] if taking else -1)
            for number in taking:
                self.counts[number].kinds.add(kind)
        return np.array(of_pairs or [-1], np.int16)[pairs.indices.to_numpy()] if len(pairs) else np.empty(0, np.int16)

    def _subjects(
        self, left: np.ndarray, source: np.ndarray, media: "_Media", root: int, begins_with_mark: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Key, crops (-1: frames are missing) and first frame of the rows `left`, each [len(left)]."""
        videos = self._frames.find(pc.binary_join_element_wise(str(root), media.video_ids, ":"))
        key, crops, first = (np.full(len(left), value, np.int64) for value in (ALONE, 0, -1))
        for place, row in enumerate(left.tolist()):
            begin, end = media.begins[row], media.begins[row + 1]
            if begin == end:
                continue
            number = int(source[row])
            subject = (number, *((int(videos[one]), *media.stretch(one)) for one in range(begin, end)))
            code = self._keys.get(subject)
            if code is None:
                code = self._keys[subject] = len(self._facts)
                self._facts.append(self._facts_of(self._mixture.sources[number], subject[1:]))
            crops[place], first[place] = self._facts[code]
            if begins_with_mark[row] and end - begin == 1:
                key[place] = code
        return key, crops, first

    def _facts_of(self, source: MixtureSource, media: tuple) -> tuple[int, int]:
        """Crops of some media and their first frame; (-1, -1) where frames are missing."""
        crops, first = 0, -1
        for video, kind, *stretch in media:
            try:
                shown = self._frames.frames_of(video, *stretch) if video >= 0 else ()
            except KeyError:
                shown = ()
            if not len(shown):
                return -1, -1
            first = int(shown[0]) if first < 0 else first
            if kind == "video":
                crops += min(len(shown), source.most_frames)
            else:
                crops += sum(1 if source.images == "whole" else self._tiles_of(
                    int(self._frames.width[frame]), int(self._frames.height[frame])) for frame in shown)
        return crops, first

    def _draws(self, source: np.ndarray, ids: pa.ChunkedArray) -> np.ndarray:
        """uint64: a number from each id, for sources with a cap only."""
        capped = {number for number, one in enumerate(self._mixture.sources) if one.cap is not None}
        draws = np.zeros(len(source), np.uint64)
        for place in np.flatnonzero(np.isin(source, list(capped))) if capped else ():
            digest = hashlib.blake2b(ids[int(place)].as_py().encode(), digest_size=8).digest()
            draws[place] = int.from_bytes(digest, "big")
        return draws


class TileCount:
    """Tiles of an image by its size; each size is worked out once."""

    def __init__(self, canvases: Sequence[Sequence[int]], tile: int) -> None:
        self._canvases, self._tile = canvases, tile
        self._known: dict[tuple[int, int], int] = {}

    def __call__(self, width: int, height: int) -> int:
        """How many tiles an image of so many pixels is cut into."""
        if (width, height) not in self._known:
            across, down = best_canvas(width, height, self._canvases)
            self._known[width, height] = (across // self._tile) * (down // self._tile)
        return self._known[width, height]


@dataclass(frozen=True, slots=True)
class Barred:
    """Videos that no sample may show."""

    duplicates: pa.Array
    calibration: pa.Array


def _barred_videos(root: Path) -> Barred:
    duplicates = [_column(path, "duplicates", ["video_id"])["video_id"] for path in table_files(root, "duplicates")]
    planted = []
    for path in table_files(root, "videos"):
        videos = _column(path, "videos", ["video_id", "calibration"])
        planted.append(videos.filter(videos["calibration"])["video_id"])
    return Barred(_one_array(duplicates), _one_array(planted))


def _column(path: Path, table: str, columns: list[str]) -> pa.Table:
    file = open_table(path, table)
    groups = [read_group(file, path, group, columns) for group in range(file.num_row_groups)]
    return pa.concat_tables(groups) if groups else file.schema_arrow.empty_table().select(columns)


def _one_array(columns: list[pa.ChunkedArray]) -> pa.Array:
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()).combine_chunks()


class _Talk:
    """The conversations of a row group: per sample what can be said of them without tokenising."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        lists = column.combine_chunks()
        begins = lists.offsets.to_numpy() - lists.offsets[0].as_py()
        turns = lists.flatten()
        speaker, words = pc.struct_field(turns, "from"), pc.fill_null(pc.struct_field(turns, "value"), "")
        is_answer, is_human = (_mask(pc.equal(speaker, name)) for name in ("gpt", "human"))
        known = is_answer | is_human | _mask(pc.equal(speaker, "system"))
        marks = sum(pc.count_substring(words, mark).to_numpy(zero_copy_only=False) for mark in _MARKS)
        first = np.minimum(begins[:-1], max(len(turns) - 1, 0))
        last = np.maximum(begins[1:] - 1, 0)
        self.turns = np.diff(begins)
        self.text_bytes = _sums(pc.binary_length(words).to_numpy(zero_copy_only=False), begins)
        self.marks = _sums(marks, begins)
        heads = is_human & _mask(pc.or_(*(pc.starts_with(words, mark) for mark in _MARKS)))
        self.begins_with_mark = heads[first] if len(turns) else np.zeros(len(self.turns), bool)
        after_human = np.concatenate([[False], is_human[:-1]])
        fine = known & (~is_answer | after_human) & ~(is_answer & (marks > 0))
        usable = (_sums(~fine, begins) == 0) & (_sums(is_answer, begins) > 0)
        self.is_usable = usable & is_answer[last] & ~is_answer[first] if len(turns) else usable


class _Media:
    """The media of the samples of a row group."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        lists = column.combine_chunks()
        self.begins = lists.offsets.to_numpy() - lists.offsets[0].as_py()
        self.count = np.diff(self.begins)
        media = lists.flatten()
        self.video_ids = pc.fill_null(pc.struct_field(media, "video_id"), "")
        self._types = pc.struct_field(media, "type").to_pylist()
        self._starts = pc.struct_field(media, "start_s").to_pylist()
        self._ends = pc.struct_field(media, "end_s").to_pylist()
        self._frames = pc.struct_field(media, "frame_indexes").to_pylist()

    def stretch(self, number: int) -> tuple:
        """Type, start, end and frame indexes of one medium."""
        return self._types[number], self._starts[number], self._ends[number], tuple(self._frames[number] or ())

    def any_of(self, videos: pa.Array) -> np.ndarray:
        """Which samples show one of some videos."""
        if not len(videos):
            return np.zeros(len(self.count), bool)
        return _sums(_mask(pc.is_in(self.video_ids, value_set=videos)), self.begins) > 0


def _sums(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Sums over stretches: stretch i is values[begins[i]:begins[i + 1]]."""
    running = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return running[begins[1:]] - running[begins[:-1]]


def _mask(values: pa.Array) -> np.ndarray:
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


class SampleReader:
    """Reads the words of samples; keeps the row groups that were used last."""

    def __init__(self, table: SampleTable, groups_kept: int) -> None:
        self._table, self._groups_kept = table, groups_kept
        self._groups: dict[int, pa.Table] = {}
        self._files: dict[int, pq.ParquetFile] = {}

    def read(self, sample: int) -> Mapping[str, object]:
        """`sample_id`, `conversations` and `media` of one sample.

        Raises:
            ShardError: a file cannot be read.
        """
        group = int(self._table.group[sample])
        return self._group(group).slice(int(self._table.row[sample]), 1).to_pylist()[0]

    def root(self, sample: int) -> int:
        """The number of the data set that a sample belongs to."""
        return self._table.roots[self._table.group_file[self._table.group[sample]]]

    def _group(self, group: int) -> pa.Table:
        table = self._groups.pop(group, None)
        if table is None:
            number = int(self._table.group_file[group])
            path = self._table.files[number]
            if number not in self._files:
                self._files[number] = open_table(path, "samples")
            table = read_group(self._files[number], path, int(self._table.group_number[group]),
                               ["sample_id", "conversations", "media"]).combine_chunks()
        self._groups[group] = table
        while len(self._groups) > self._groups_kept:
            del self._groups[next(iter(self._groups))]
        return table
