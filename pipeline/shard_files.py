"""The files of a data set: tables as Parquet, the manifest, and how they appear at once."""

import contextlib
import errno
import filecmp
import hashlib
import itertools
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.work_store import flush_folder, flush_tree, key_of, write_file
from schemas.tables import SCHEMA_VERSION, TABLES, with_footer
from schemas.views import views_sql

CLIP_FILES = "clip_files"
"""The folder beside the tables that holds {video_id}/{clip_id}.mp4, where clips are kept."""

_GROUP_BYTES = 32 << 20
_LARGEST_GROUP_BYTES = 64 << 20
_NO_LINKS_HERE = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV}


class FramesFile:
    """A shard of `frames`. Row groups end at the first video boundary after 32 MiB, so that a reader reads a
    video once.

    A video of more than 64 MiB has several groups of its own: one group for ten hours of film would
    hold a gigabyte in the memory of writer and reader.
    """

    def __init__(self, path: Path) -> None:
        self._writer = open_writer(path, "frames")
        self._group: list[pa.RecordBatch] = []
        self._bytes = 0

    def add_video(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add the rows of one video, a few at a time."""
        for batch in batches:
            if self._bytes > _LARGEST_GROUP_BYTES:
                self._flush()
            self._group.append(batch)
            self._bytes += batch.nbytes
        if self._bytes > _GROUP_BYTES:
            self._flush()

    def __enter__(self) -> "FramesFile":
        return self

    def __exit__(self, *_: object) -> None:
        if self._group:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._group).cast(with_footer("frames"))
        self._writer.write_table(table, row_group_size=len(table))
        self._group, self._bytes = [], 0


def shard_path(data: Path, table: str, split: str, bucket: int) -> Path:
    """Where a shard lies."""
    return data / table / f"{split}-{bucket:05d}.parquet"


def open_writer(path: Path, table: str) -> pq.ParquetWriter:
    """A new shard of a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, with_footer(table), compression="zstd", write_page_index=True)


def write_rows(path: Path, table: str, rows: list[dict[str, Any]]) -> None:
    """Write a shard; columns that a row lacks are null."""
    with open_writer(path, table) as writer:
        columns = [{name: row.get(name) for name in TABLES[table].names} for row in rows]
        if columns:  # an empty row group is more than the `datasets` library can read
            writer.write_table(pa.Table.from_pylist(columns, schema=with_footer(table)))


def write_single(data: Path, table: str, rows: list[dict[str, Any]]) -> None:
    """Write a table of one shard."""
    write_rows(shard_path(data, table, "train", 0), table, rows)


def fill_absent(data: Path) -> None:
    """A table without rows still has a file, so that views and loaders find its columns."""
    for table in TABLES:
        if not (data / table).is_dir():
            write_single(data, table, [])


def link(file: Path, name: Path) -> None:
    """Another name for a file; a copy where the file system knows no links."""
    name.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno not in _NO_LINKS_HERE:
            raise
        shutil.copyfile(file, name)


def describe_shard(path: Path, table: str) -> dict[str, Any]:
    """What the manifest says of a shard besides its path."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"table": table, "rows": pq.read_metadata(path).num_rows, "bytes": path.stat().st_size, "sha256": digest}


def describe_shards(staging: Path) -> Iterator[dict[str, Any]]:
    """What the manifest says of every shard."""
    for path in sorted((staging / "data").rglob("*.parquet")):
        yield {"path": path.relative_to(staging).as_posix()} | describe_shard(path, path.parent.name)


def manifest_of(
    files: Iterable[Mapping[str, Any]], seconds: Iterable[float], samples_by_kind: Mapping[str, int],
    rejected_by_reason: Mapping[str, int], config_said: dict[str, Any], libraries: Sequence[str],
) -> dict[str, Any]:
    """What is in a data set; nothing of time, host or path.

    Args:
        files: what `describe_shard` says of each, with its path in the data set.
        seconds: of video.
        samples_by_kind: how many.
        rejected_by_reason: how many.
        config_said: the choices it was made with.
        libraries: distributions whose versions are noted.
    """
    listed = [{name: file[name] for name in ("path", "table", "rows", "bytes", "sha256")}
              for file in sorted(files, key=lambda file: file["path"])]
    rows: Counter[str] = Counter()
    for file in listed:
        rows[file["table"]] += file["rows"]
    return {
        "schema_version": SCHEMA_VERSION,
        "rows": {table: rows[table] for table in TABLES},
        "hours": round(math.fsum(seconds) / 3600, 6),
        "samples_by_kind": dict(sorted(samples_by_kind.items())),
        "rejected_by_reason": dict(sorted(rejected_by_reason.items())),
        "config": config_said,
        "versions": {name: version(name) for name in libraries},
        "data_key": key_of([[file["path"], file["sha256"]] for file in listed]),
        "files": listed,
    }


def publish(staging: Path, out: Path, manifest: dict[str, Any], card: str, beside: Sequence[str] = ()) -> None:
    """Add views and card to the tables in `staging`, and put everything in its place: the manifest comes last.

    Where readers see this very data set already, nothing is touched.

    Args:
        staging: the tables, clip files where they are kept, and the files that lie beside them; gone afterwards.
        out: where readers look.
        manifest: what is in it.
        card: its README.md.
        beside: names of further files that a data set may have beside its tables; removed there when not in `staging`.
    """
    (staging / "views.sql").write_text(views_sql(), encoding="utf-8")
    (staging / "README.md").write_text(card, encoding="utf-8")
    names = ("views.sql", "README.md", *beside)
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    if not _is_in_place(staging, text, manifest, names, out):
        flush_tree(staging)
        _put_in_place(staging, names, out)
        write_file(out / "manifest.json", text.encode())
    shutil.rmtree(staging, ignore_errors=True)


def _is_in_place(staging: Path, text: str, manifest: dict[str, Any], names: Sequence[str], out: Path) -> bool:
    if not (out / "manifest.json").is_file() or (out / "manifest.json").read_text(encoding="utf-8") != text:
        return False
    if not all(_are_equal(staging / name, out / name) for name in names):
        return False
    with contextlib.suppress(FileNotFoundError):
        clip_files = (path.relative_to(staging) for path in (staging / CLIP_FILES).rglob("*.mp4"))
        return all((out / path).samefile(staging / path)
                   for path in itertools.chain((file["path"] for file in manifest["files"]), clip_files))
    return False


def _are_equal(one: Path, other: Path) -> bool:
    """Whether two files say the same, or neither is there."""
    if not (one.is_file() and other.is_file()):
        return not (one.exists() or other.exists())
    return filecmp.cmp(one, other, shallow=False)


def _put_in_place(staging: Path, names: Sequence[str], out: Path) -> None:
    """Replace what a reader sees: the manifest goes first and comes last, so that it never lies."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    flush_folder(out)
    old = staging.with_name("before")
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir()
    for folder in ("data", CLIP_FILES):
        if (out / folder).exists():
            os.rename(out / folder, old / folder)
        if (staging / folder).exists():
            os.rename(staging / folder, out / folder)
    for name in names:
        if (staging / name).exists():
            os.replace(staging / name, out / name)
        else:
            (out / name).unlink(missing_ok=True)
    flush_folder(out)
    shutil.rmtree(old, ignore_errors=True)
