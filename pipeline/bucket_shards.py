"""The shards of one bucket: every table's rows of the videos that fall into it, as a product of the work store.

Product (a folder): `{table}.parquet` for the tables that are cut into buckets, and `summary.json`. A bucket whose
videos are as they were is found, not written: growing a data set rewrites what it changes and nothing else.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.shard_files import FramesFile, describe_shard, write_rows
from pipeline.source_subtitles import subtitles_of
from pipeline.splits import bucket_of
from pipeline.table_rows import VideoProducts, count_frames, rows_of
from pipeline.work_store import Inputs, WorkStore, key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Stage
from schemas.tables import SCHEMA_VERSION

VERSION = "1"
BUCKETED = ("videos", "clips", "clues", "samples", "frames")

_IDS = {"videos": "video_id", "clips": "clip_id", "clues": "clue_id", "samples": "sample_id"}

Place = tuple[str, int]
"""Split and number of a bucket."""


def into_buckets(config: BuildConfig, videos: Sequence[VideoProducts]) -> dict[Place, list[VideoProducts]]:
    """The videos of each bucket that has any, by their ids."""
    buckets: dict[Place, list[VideoProducts]] = {}
    for video in sorted(videos, key=lambda video: video.video_id):
        place = (video.split(config.test_share), bucket_of(video.video_id, config.buckets))
        buckets.setdefault(place, []).append(video)
    return dict(sorted(buckets.items()))


def bucket_inputs(config: BuildConfig, videos: Sequence[VideoProducts]) -> Inputs:
    """All that the bytes of a bucket's shards depend on."""
    return {"version": VERSION, "schema": SCHEMA_VERSION, "pyarrow": version("pyarrow"),
            "test_share": config.test_share, "videos": {video.video_id: _made_from(video) for video in videos}}


def write_bucket(config: BuildConfig, videos: Sequence[VideoProducts], store: WorkStore) -> tuple[Path, dict[str, Any]]:
    """The product of a bucket, made unless it is there, and its summary.

    Returns:
        The folder, and of its files table, rows, bytes and sha256; seconds of video; samples of each kind.
    """
    inputs = bucket_inputs(config, videos)
    key = key_of(inputs)
    if store.find(Stage.SHARDS, key) is None:
        with store.write(Stage.SHARDS, key, inputs) as folder:
            _write_tables(config, videos, folder)
    product = store.find(Stage.SHARDS, key)
    return product, json.loads((product / "summary.json").read_text(encoding="utf-8"))


def _made_from(video: VideoProducts) -> list[str]:
    """The products of a video's stages, and what its source says of it now."""
    products = [value for field in fields(video) if isinstance(value := getattr(video, field.name), Path)]
    said = replace(video.source, path="", url=None, subtitle_files=())
    return [*(product.name for product in products), key_of(repr(said), repr(subtitles_of(video.source)[0]))]


def _write_tables(config: BuildConfig, videos: Sequence[VideoProducts], folder: Path) -> None:
    """Memory holds the rows of one bucket, and never its pictures."""
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _IDS}
    for video in videos:
        for table, some in rows_of(video, config.test_share).items():
            rows[table].extend(some)
    for table, some in rows.items():
        write_rows(folder / f"{table}.parquet", table, sorted(some, key=lambda row, column=_IDS[table]: row[column]))
    _write_frames(folder / "frames.parquet", videos)
    (folder / "summary.json").write_text(json.dumps(_summary(folder, rows)), encoding="utf-8")


def _summary(folder: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        "files": [describe_shard(folder / f"{table}.parquet", table) for table in BUCKETED],
        "seconds": math.fsum(row["duration_s"] for row in rows["videos"]),
        "samples_by_kind": dict(sorted(Counter(row["kind"] for row in rows["samples"]).items()))}


def _write_frames(path: Path, videos: Sequence[VideoProducts]) -> None:
    with FramesFile(path) as frames:
        for video in videos:
            if count_frames(video):
                frames.add_video(pq.ParquetFile(video.decoded / "frames.parquet").iter_batches(batch_size=64))
