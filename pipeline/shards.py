"""The shard stage: writes the tables as Parquet, the views, the card and the manifest, and lets them appear at once."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data_card import card_text
from pipeline.same_pictures import find_same_pictures
from pipeline.served_figures import served_figures
from pipeline.splits import bucket_of, split_of
from pipeline.table_rows import VideoProducts, count_frames, rejections_of, rows_of
from pipeline.work_store import WorkStore, flush_folder, flush_tree, key_of, write_file
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, to_row
from schemas.tables import SCHEMA_VERSION, TABLES, with_footer
from schemas.views import views_sql

_GROUP_BYTES = 32 << 20
_LARGEST_GROUP_BYTES = 64 << 20
_IDS = {"videos": "video_id", "clips": "clip_id", "clues": "clue_id", "samples": "sample_id"}
_LIBRARIES = ("video-xl", "av", "scenedetect-headless", "opencv-python-headless", "numpy", "pyarrow", "prefect")


def write_shards(
    config: BuildConfig, config_said: dict[str, Any], videos: Sequence[VideoProducts],
    rejected: Iterable[Rejection], out: Path, store: WorkStore,
) -> dict[str, Any]:
    """Write the whole data set anew beside its place and put it there.

    Args:
        config: the build's choices.
        config_said: the same as the manifest shows them.
        videos: the finished products of each video.
        rejected: what was left out before any stage of a video was done.
        out: the output folder.
        store: where to write before the rename.

    Returns:
        The manifest.
    """
    staging = store.root / "scratch" / "data-set"
    shutil.rmtree(staging, ignore_errors=True)
    data = staging / "data"
    _write_tables(config, sorted(videos, key=lambda video: video.video_id), data)
    same = find_same_pictures({video.video_id: video.decoded for video in videos})
    left_out = [*rejected, *(row for video in videos for row in rejections_of(video)), *_told(same, videos)]
    _write_single(data, "rejected", sorted((to_row(row) for row in left_out), key=_canonical))
    _write_single(data, "duplicates", [
        {"video_id": video_id, "duplicate_of": stays} for video_id, stays in sorted(same.items())])
    _fill_absent(data)
    manifest = _manifest(staging, config_said) | served_figures(
        config, [video.captions for video in videos], [video.clues for video in videos])
    (staging / "views.sql").write_text(views_sql(), encoding="utf-8")
    (staging / "README.md").write_text(card_text(manifest), encoding="utf-8")
    flush_tree(staging)
    _put_in_place(staging, out)
    write_file(out / "manifest.json", (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())
    return manifest


def _told(same: dict[str, str], videos: Sequence[VideoProducts]) -> Iterator[Rejection]:
    """Videos with the pictures of another keep their rows, which depend on nothing else; readers leave them out."""
    sources = {video.video_id: video.source.source for video in videos}
    for video_id, stays in same.items():
        yield Rejection(
            stage=Stage.SHARDS, reason=Reason.SAME_PICTURES, source=sources[video_id], video_id=video_id,
            detail=f"it shows the same pictures as {sources[stays]}; the table `duplicates` names both")


def _write_tables(config: BuildConfig, videos: Sequence[VideoProducts], data: Path) -> None:
    """One bucket after the other, so that memory holds the rows of one bucket, and never its pictures."""
    buckets: dict[tuple[str, int], list[VideoProducts]] = {}
    for video in videos:
        place = (split_of(video.video_id, config.test_share), bucket_of(video.video_id, config.buckets))
        buckets.setdefault(place, []).append(video)
    for (split, bucket), inside in sorted(buckets.items()):
        rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _IDS}
        for video in inside:
            for table, some in rows_of(video, config.test_share).items():
                rows[table].extend(some)
        for table, some in rows.items():
            ordered = sorted(some, key=lambda row, column=_IDS[table]: row[column])
            _write(_shard(data, table, split, bucket), table, ordered)
        _write_frames(_shard(data, "frames", split, bucket), inside)


def _write_frames(path: Path, videos: Sequence[VideoProducts]) -> None:
    """Row groups end at the first video boundary after 32 MiB, so that a reader reads a video once.

    A video of more than 64 MiB has several groups of its own: one group for ten hours of film would
    hold a gigabyte in the memory of writer and reader.
    """
    with _open_writer(path, "frames") as writer:
        group: list[pa.RecordBatch] = []
        size = 0
        for video in videos:
            if count_frames(video) == 0:
                continue
            for batch in pq.ParquetFile(video.decoded / "frames.parquet").iter_batches(batch_size=64):
                if size > _LARGEST_GROUP_BYTES:
                    size = _flush(writer, group)
                group.append(batch)
                size += batch.nbytes
            if size > _GROUP_BYTES:
                size = _flush(writer, group)
        if group:
            _flush(writer, group)


def _flush(writer: pq.ParquetWriter, group: list[pa.RecordBatch]) -> int:
    table = pa.Table.from_batches(group).cast(with_footer("frames"))
    writer.write_table(table, row_group_size=len(table))
    group.clear()
    return 0


def _write(path: Path, table: str, rows: list[dict[str, Any]]) -> None:
    with _open_writer(path, table) as writer:
        columns = [{name: row.get(name) for name in TABLES[table].names} for row in rows]
        if columns:  # an empty row group is more than the `datasets` library can read
            writer.write_table(pa.Table.from_pylist(columns, schema=with_footer(table)))


def _open_writer(path: Path, table: str) -> pq.ParquetWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, with_footer(table), compression="zstd", write_page_index=True)


def _write_single(data: Path, table: str, rows: list[dict[str, Any]]) -> None:
    _write(_shard(data, table, "train", 0), table, rows)


def _fill_absent(data: Path) -> None:
    """A table without rows still has a file, so that views and loaders find its columns."""
    for table in TABLES:
        if not (data / table).is_dir():
            _write_single(data, table, [])


def _shard(data: Path, table: str, split: str, bucket: int) -> Path:
    return data / table / f"{split}-{bucket:05d}.parquet"


def _canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def _manifest(staging: Path, config_said: dict[str, Any]) -> dict[str, Any]:
    """What is in the data set; nothing of time, host or path."""
    files = list(_files(staging))
    rows: Counter[str] = Counter()
    for file in files:
        rows[file["table"]] += file["rows"]
    return {
        "schema_version": SCHEMA_VERSION,
        "rows": {table: rows[table] for table in TABLES},
        **_counts(staging / "data"),
        "config": config_said,
        "versions": {name: version(name) for name in _LIBRARIES},
        "data_key": key_of([[file["path"], file["sha256"]] for file in files]),
        "files": files,
    }


def _files(staging: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((staging / "data").rglob("*.parquet")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield {
            "path": path.relative_to(staging).as_posix(), "table": path.parent.name,
            "rows": pq.read_metadata(path).num_rows, "bytes": path.stat().st_size, "sha256": digest}


def _counts(data: Path) -> dict[str, Any]:
    def column(table: str, name: str) -> list[Any]:
        return [value for path in sorted((data / table).iterdir())
                for value in pq.read_table(path, columns=[name])[name].to_pylist()]

    return {
        "hours": round(sum(column("videos", "duration_s")) / 3600, 6),
        "samples_by_kind": dict(sorted(Counter(column("samples", "kind")).items())),
        "rejected_by_reason": dict(sorted(Counter(column("rejected", "reason")).items())),
    }


def _put_in_place(staging: Path, out: Path) -> None:
    """Replace what a reader sees: the manifest goes first and comes last, so that it never lies."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    old = staging.with_name("data-before")
    shutil.rmtree(old, ignore_errors=True)
    if (out / "data").exists():
        os.rename(out / "data", old)
    os.rename(staging / "data", out / "data")
    for name in ("views.sql", "README.md"):
        os.replace(staging / name, out / name)
    flush_folder(out)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(staging, ignore_errors=True)
