"""The shard stage: writes the tables as Parquet, the views, the card and the manifest, and lets them appear at once."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.data_card import card_text
from pipeline.same_pictures import find_same_pictures
from pipeline.served_figures import served_figures
from pipeline.shard_files import FramesFile, fill_absent, manifest_of, publish, shard_path, write_rows, write_single
from pipeline.splits import bucket_of, split_of
from pipeline.table_rows import VideoProducts, count_frames, rejections_of, rows_of
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, to_row

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
    write_single(data, "rejected", sorted((to_row(row) for row in left_out), key=_canonical))
    write_single(data, "duplicates", [
        {"video_id": video_id, "duplicate_of": stays} for video_id, stays in sorted(same.items())])
    fill_absent(data)
    manifest = manifest_of(staging, config_said, _LIBRARIES) | served_figures(
        config, [video.captions for video in videos], [video.clues for video in videos])
    publish(staging, out, manifest, card_text(manifest))
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
            write_rows(shard_path(data, table, split, bucket), table, ordered)
        _write_frames(shard_path(data, "frames", split, bucket), inside)


def _write_frames(path: Path, videos: Sequence[VideoProducts]) -> None:
    with FramesFile(path) as file:
        for video in videos:
            if count_frames(video):
                file.add_video(pq.ParquetFile(video.decoded / "frames.parquet").iter_batches(batch_size=64))


def _canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False)
