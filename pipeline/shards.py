"""The shard stage: gathers the shards of all buckets, the views, the card and the manifest, and lets them appear at
once. Only what changed is written: a shard that is as it was stays the very same file.
"""

import filecmp
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import blind_guesser
from pipeline.blind_check import ASKED, BY_CHANCE
from pipeline.blind_check_served import PROMPT as BLIND_PROMPT
from pipeline.bucket_shards import BUCKETED, into_buckets, write_bucket
from pipeline.calibration import NEEDLES_FILE, calibration_figures
from pipeline.card_figures import card_figures
from pipeline.clip_file_tree import link_clip_files
from pipeline.data_card import card_text
from pipeline.exclusion import FROZEN, Exclusion
from pipeline.needles import Needle
from pipeline.record_files import read_records
from pipeline.review_votes import review_figures
from pipeline.same_pictures import find_same_pictures
from pipeline.served_figures import served_figures
from pipeline.shard_files import CLIP_FILES, describe_shard, link, manifest_of, publish, shard_path, write_rows
from pipeline.table_rows import VideoProducts, rejections_of
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, to_row

_LIBRARIES = ("video-xl", "av", "scenedetect-headless", "opencv-python-headless", "numpy", "pyarrow", "prefect")


def write_shards(
    config: BuildConfig, config_said: dict[str, Any], videos: Sequence[VideoProducts],
    rejected: Iterable[Rejection], out: Path, store: WorkStore, exclusion: Exclusion | None = None,
) -> dict[str, Any]:
    """Gather the whole data set beside its place and put it there.

    Args:
        config: the build's choices.
        config_said: the same as the manifest shows them.
        videos: the finished products of each video.
        rejected: what was left out before any stage of a video was done.
        out: the output folder.
        store: where shards are kept and where to write before the rename.
        exclusion: the known test videos that were left out; kept with the output.

    Returns:
        The manifest.
    """
    staging = store.root / "scratch" / "data-set"
    shutil.rmtree(staging, ignore_errors=True)
    data = staging / "data"
    used, summaries = _link_buckets(config, videos, store, data)
    same = find_same_pictures({video.video_id: video.decoded for video in videos if not video.is_calibration})
    left_out = [*rejected, *(row for video in videos for row in rejections_of(video)), *_told(same, videos)]
    files = [file for summary in summaries for file in summary["files"]] + list(_write_singles(data, {
        "rejected": sorted((to_row(row) for row in left_out), key=_canonical),
        "duplicates": [{"video_id": video_id, "duplicate_of": stays} for video_id, stays in sorted(same.items())],
        **({} if videos else {table: [] for table in BUCKETED}),  # so that views and loaders find their columns
    }, out))
    manifest = manifest_of(
        files, (summary["seconds"] for summary in summaries),
        sum((Counter(summary["samples_by_kind"]) for summary in summaries), Counter()),
        Counter(str(row.reason) for row in left_out), config_said, _LIBRARIES)
    manifest |= served_figures(
        config, [video.captions for video in videos], [video.clues for video in videos],
        [video.questions for video in videos])
    manifest |= {"figures": card_figures(data), "blind": _blind(config, out)}
    if exclusion is not None and exclusion.text():
        manifest["exclude"] = _freeze(staging / FROZEN, exclusion.text()) | exclusion.counts()
    if config.keep_clips:
        manifest["clip_files"] = link_clip_files(config, videos, store, staging / CLIP_FILES)
    if config.calibrate:
        needles = {video.video_id: read_records(video.decoded / "needles.json", Needle)
                   for video in videos if video.is_calibration}
        manifest["calibration"] = _freeze(staging / NEEDLES_FILE, _needles_text(needles)) | calibration_figures(
            data, needles)
    publish(staging, out, manifest, card_text(manifest, review_figures(out, data)), (FROZEN, NEEDLES_FILE))
    store.keep_only(Stage.SHARDS, used)
    return manifest


def _link_buckets(
    config: BuildConfig, videos: Sequence[VideoProducts], store: WorkStore, data: Path
) -> tuple[set[str], list[dict[str, Any]]]:
    """The shards of every bucket under the names that readers know, without a copy.

    Returns:
        The keys of the products, and their summaries with the paths of the files.
    """
    used, summaries = set(), []
    for (split, bucket), inside in into_buckets(config, videos).items():
        product, summary = write_bucket(config, inside, store)
        used.add(product.name)
        for file in summary["files"]:
            shard = shard_path(data, file["table"], split, bucket)
            link(product / f"{file['table']}.parquet", shard)
            file["path"] = shard.relative_to(data.parent).as_posix()
        summaries.append(summary)
    return used, summaries


def _write_singles(data: Path, tables: dict[str, list[dict[str, Any]]], out: Path) -> Iterator[dict[str, Any]]:
    """Tables of one file each; a file that says what it said before stays the same file."""
    for table, rows in tables.items():
        path = shard_path(data, table, "train", 0)
        write_rows(path, table, rows)
        before = out / path.relative_to(data.parent)
        if before.is_file() and filecmp.cmp(before, path, shallow=False):
            path.unlink()
            link(before, path)
        yield {"path": path.relative_to(data.parent).as_posix()} | describe_shard(path, table)


def _blind(config: BuildConfig, out: Path) -> dict[str, Any]:
    """Who had to guess the answers, and what counts as guessed."""
    test = {"orders_each": ASKED, "test": "one-sided binomial test against one of the options",
            "dropped_below": BY_CHANCE}
    if config.blind_is_served:
        return {"checker": "served", "model": config.order_model or config.caption_model, "prompt": BLIND_PROMPT} | test
    guesser = out / blind_guesser.FILE_NAME
    if not guesser.exists():
        return {"checker": "none yet: too few questions to train the built-in guesser"} | test
    digest = hashlib.sha256(guesser.read_bytes()).hexdigest()
    return {"checker": "built-in", "version": blind_guesser.VERSION, "file": guesser.name, "sha256": digest} | test


def _freeze(path: Path, text: str) -> dict[str, str]:
    """Write a file that lies beside the shards; returns what the manifest says of it."""
    path.write_text(text, encoding="utf-8")
    return {"file": path.name, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _needles_text(needles: dict[str, list[Needle]]) -> str:
    rows = {video_id: [to_row(needle) for needle in needles[video_id]] for video_id in sorted(needles)}
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _told(same: dict[str, str], videos: Sequence[VideoProducts]) -> Iterator[Rejection]:
    """Videos with the pictures of another keep their rows, which depend on nothing else; readers leave them out."""
    sources = {video.video_id: video.source.source for video in videos}
    for video_id, stays in same.items():
        yield Rejection(
            stage=Stage.SHARDS, reason=Reason.SAME_PICTURES, source=sources[video_id], video_id=video_id,
            detail=f"it shows the same pictures as {sources[stays]}; the table `duplicates` names both")


def _canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False)
