"""The shard stage: gathers the shards of all buckets, the views, the card and the manifest, and lets them appear at
once. Only what changed is written: a shard that is as it was stays the very same file.
"""

import contextlib
import errno
import filecmp
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.bucket_shards import BUCKETED, describe_shard, into_buckets, write_bucket, write_rows
from pipeline.data_card import card_text
from pipeline.same_pictures import find_same_pictures
from pipeline.served_figures import served_figures
from pipeline.table_rows import VideoProducts, rejections_of
from pipeline.work_store import WorkStore, flush_folder, flush_tree, key_of, write_file
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, to_row
from schemas.tables import SCHEMA_VERSION, TABLES
from schemas.views import views_sql

_LIBRARIES = ("video-xl", "av", "scenedetect-headless", "opencv-python-headless", "numpy", "pyarrow", "prefect")
_NO_LINKS_HERE = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV}


def write_shards(
    config: BuildConfig, config_said: dict[str, Any], videos: Sequence[VideoProducts],
    rejected: Iterable[Rejection], out: Path, store: WorkStore,
) -> dict[str, Any]:
    """Gather the whole data set beside its place and put it there.

    Args:
        config: the build's choices.
        config_said: the same as the manifest shows them.
        videos: the finished products of each video.
        rejected: what was left out before any stage of a video was done.
        out: the output folder.
        store: where shards are kept and where to write before the rename.

    Returns:
        The manifest.
    """
    staging = store.root / "scratch" / "data-set"
    shutil.rmtree(staging, ignore_errors=True)
    data = staging / "data"
    used, summaries = _link_buckets(config, videos, store, data)
    same = find_same_pictures({video.video_id: video.decoded for video in videos})
    left_out = [*rejected, *(row for video in videos for row in rejections_of(video)), *_told(same, videos)]
    files = [file for summary in summaries for file in summary["files"]] + list(_write_singles(data, {
        "rejected": sorted((to_row(row) for row in left_out), key=_canonical),
        "duplicates": [{"video_id": video_id, "duplicate_of": stays} for video_id, stays in sorted(same.items())],
        **({} if videos else {table: [] for table in BUCKETED}),  # so that views and loaders find their columns
    }, out))
    manifest = _manifest(files, summaries, left_out, config_said) | served_figures(
        config, [video.captions for video in videos], [video.clues for video in videos])
    (staging / "views.sql").write_text(views_sql(), encoding="utf-8")
    (staging / "README.md").write_text(card_text(manifest), encoding="utf-8")
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    if not _is_in_place(staging, text, manifest, out):
        flush_tree(staging)
        _put_in_place(staging, out)
        write_file(out / "manifest.json", text.encode())
    shutil.rmtree(staging, ignore_errors=True)
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
            shard = _shard(data, file["table"], split, bucket)
            _link(product / f"{file['table']}.parquet", shard)
            file["path"] = shard.relative_to(data.parent).as_posix()
        summaries.append(summary)
    return used, summaries


def _write_singles(data: Path, tables: dict[str, list[dict[str, Any]]], out: Path) -> Iterator[dict[str, Any]]:
    """Tables of one file each; a file that says what it said before stays the same file."""
    for table, rows in tables.items():
        path = _shard(data, table, "train", 0)
        write_rows(path, table, rows)
        before = out / path.relative_to(data.parent)
        if before.is_file() and filecmp.cmp(before, path, shallow=False):
            path.unlink()
            _link(before, path)
        yield {"path": path.relative_to(data.parent).as_posix()} | describe_shard(path, table)


def _link(file: Path, name: Path) -> None:
    """Another name for a file; a copy where the file system knows no links."""
    name.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno not in _NO_LINKS_HERE:
            raise
        shutil.copyfile(file, name)


def _told(same: dict[str, str], videos: Sequence[VideoProducts]) -> Iterator[Rejection]:
    """Videos with the pictures of another keep their rows, which depend on nothing else; readers leave them out."""
    sources = {video.video_id: video.source.source for video in videos}
    for video_id, stays in same.items():
        yield Rejection(
            stage=Stage.SHARDS, reason=Reason.SAME_PICTURES, source=sources[video_id], video_id=video_id,
            detail=f"it shows the same pictures as {sources[stays]}; the table `duplicates` names both")


def _shard(data: Path, table: str, split: str, bucket: int) -> Path:
    return data / table / f"{split}-{bucket:05d}.parquet"


def _canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def _manifest(
    files: list[dict[str, Any]], summaries: Sequence[dict[str, Any]], left_out: Sequence[Rejection],
    config_said: dict[str, Any],
) -> dict[str, Any]:
    """What is in the data set; nothing of time, host or path."""
    files = [{name: file[name] for name in ("path", "table", "rows", "bytes", "sha256")}
             for file in sorted(files, key=lambda file: file["path"])]
    rows: Counter[str] = Counter()
    for file in files:
        rows[file["table"]] += file["rows"]
    samples: Counter[str] = Counter()
    for summary in summaries:
        samples.update(summary["samples_by_kind"])
    return {
        "schema_version": SCHEMA_VERSION,
        "rows": {table: rows[table] for table in TABLES},
        "hours": round(math.fsum(summary["seconds"] for summary in summaries) / 3600, 6),
        "samples_by_kind": dict(sorted(samples.items())),
        "rejected_by_reason": dict(sorted(Counter(str(row.reason) for row in left_out).items())),
        "config": config_said,
        "versions": {name: version(name) for name in _LIBRARIES},
        "data_key": key_of([[file["path"], file["sha256"]] for file in files]),
        "files": files,
    }


def _is_in_place(staging: Path, text: str, manifest: dict[str, Any], out: Path) -> bool:
    """Whether readers see this very data set already."""
    if not (out / "manifest.json").is_file() or (out / "manifest.json").read_text(encoding="utf-8") != text:
        return False
    if not all((out / name).is_file() and filecmp.cmp(out / name, staging / name, shallow=False)
               for name in ("views.sql", "README.md")):
        return False
    with contextlib.suppress(FileNotFoundError):
        return all((out / file["path"]).samefile(staging / file["path"]) for file in manifest["files"])
    return False


def _put_in_place(staging: Path, out: Path) -> None:
    """Replace what a reader sees: the manifest goes first and comes last, so that it never lies."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    flush_folder(out)
    old = staging.with_name("data-before")
    shutil.rmtree(old, ignore_errors=True)
    if (out / "data").exists():
        os.rename(out / "data", old)
    os.rename(staging / "data", out / "data")
    for name in ("views.sql", "README.md"):
        os.replace(staging / name, out / name)
    flush_folder(out)
    shutil.rmtree(old, ignore_errors=True)
