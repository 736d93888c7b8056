"""The products of all parts of an import as the tables of a data set, one bucket after the other.

Memory holds the light rows of one bucket and the pictures of one row group. A bucket that is written is not written
again by an import that goes on.
"""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipeline.captions import open_decoded
from pipeline.data_card import card_configs
from pipeline.import_parts import rejected_of
from pipeline.progress import StageProgress
from pipeline.record_files import read_records, write_records
from pipeline.shard_files import (
    FramesFile,
    describe_shards,
    fill_absent,
    link,
    manifest_of,
    open_writer,
    publish,
    shard_path,
    write_rows,
)
from pipeline.shard_reading import read_rows
from pipeline.work_store import WorkStore, key_of
from schemas.import_config import ImportConfig
from schemas.reasons import SENTENCES, Reason, Stage
from schemas.records import Rejection, to_row
from schemas.tables import COMMENTS, FRAMES, TABLES, with_footer

_TABLES = ("videos", "samples", "frames")
_LIBRARIES = ("video-xl", "av", "pillow", "numpy", "pyarrow")
_READ_FRAMES = 64
_READ_REJECTIONS = 4096


class MediaChangedError(Exception):
    """A file is another one than when it was checked."""


def write_tables(
    config: ImportConfig, parts: Sequence[Path], store: WorkStore, out: Path, progress: StageProgress
) -> dict[str, Any] | None:
    """Write the data set beside its place and put it there.

    Args:
        config: the choices.
        parts: the products of all parts.
        store: where to write before the rename.
        out: the output folder.
        progress: with the stage tables.

    Returns:
        The manifest; None, and nothing is put anywhere, when not one sample came of the records.

    Raises:
        MediaChangedError: an image was changed since its part was worked off.
    """
    buckets = store.root / "buckets" / key_of(config.without_machine(), [part.name for part in parts])
    for bucket in progress.track(range(config.buckets), "tables", config.buckets):
        if not (buckets / str(bucket)).is_dir():
            _write_bucket(config, parts, store, bucket, buckets / str(bucket))
    if not any(pq.read_metadata(path).num_rows for path in buckets.glob("*/samples.parquet")):
        return None
    staging = store.root / "scratch" / "data-set"
    shutil.rmtree(staging, ignore_errors=True)
    for bucket in range(config.buckets):
        for table in _TABLES:
            file = buckets / str(bucket) / f"{table}.parquet"
            if pq.read_metadata(file).num_rows:
                link(file, shard_path(staging / "data", table, "train", bucket))
    with open_writer(shard_path(staging / "data", "rejected", "train", 0), "rejected") as writer:
        for rows in _rejections(parts, buckets, config):
            writer.write_table(pa.Table.from_pylist(rows, schema=with_footer("rejected")))
    fill_absent(staging / "data")
    manifest = _manifest(staging, config)
    publish(staging, out, manifest, _card(manifest))
    shutil.rmtree(buckets)
    return manifest


def _write_bucket(config: ImportConfig, parts: Sequence[Path], store: WorkStore, bucket: int, folder: Path) -> None:
    """The tables of one bucket; they appear at once."""
    scratch = store.root / "scratch" / f"bucket-{bucket}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    samples, left_out = [], []
    for row in sorted(_rows(parts, "samples", bucket), key=lambda row: row["sample_id"]):
        if samples and samples[-1]["sample_id"] == row["sample_id"]:
            left_out.append(Rejection(
                stage=Stage.IMPORT, reason=Reason.RECORD_GIVEN_TWICE, item_id=row["sample_id"],
                detail=f"{SENTENCES[Reason.RECORD_GIVEN_TWICE]}: {row['question'][:100]}"))
        else:
            samples.append(row)
    about = Counter(video for row in samples for video in {one["video_id"] for one in row["media"]})
    subjects = {row["video_id"]: row for row in _rows(parts, "subjects", bucket)}
    videos = []
    with FramesFile(scratch / "frames.parquet") as frames:
        for video_id, subject in sorted(subjects.items()):
            video, pictures = _open_subject(config, subject, store)
            left_out += _damage(subject, store)
            frames.add_video(pictures)
            videos.append(video | {
                "n_clips": 0, "n_samples": about[video_id], "split": "train", "calibration": False,
                "language": config.language, "license": config.license})
    write_rows(scratch / "samples.parquet", "samples", samples)
    write_rows(scratch / "videos.parquet", "videos", videos)
    write_records(scratch / "rejected.json", Rejection, left_out)
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.rename(scratch, folder)


def _rows(parts: Sequence[Path], name: str, bucket: int) -> Iterator[dict[str, Any]]:
    """The rows of a bucket in the products of all parts."""
    for part in parts:
        table = ds.dataset(part / f"{name}.parquet").to_table(filter=pc.field("bucket") == bucket)
        yield from table.to_pylist()


def _open_subject(
    config: ImportConfig, subject: Mapping[str, Any], store: WorkStore
) -> tuple[dict[str, Any], Iterable[pa.RecordBatch]]:
    """The row of `videos` of a subject, and its rows of `frames`."""
    if subject["media"] == "video":
        decoded = store.root / subject["decoded"]
        frames = pq.ParquetFile(decoded / "frames.parquet")
        video = to_row(open_decoded(decoded).video) | {
            "source": subject["source"], "n_frames": frames.metadata.num_rows}
        return video, map(_without_clips, frames.iter_batches(batch_size=_READ_FRAMES))
    images = subject["images"]
    video = {
        "video_id": subject["video_id"], "media": subject["media"], "source": subject["source"], "duration_s": 0.0,
        "width": images[0]["width"], "height": images[0]["height"], "fps": 0.0, "variable_frame_rate": False,
        "rotation": 0, "container": "", "codec": images[0]["codec"], "cuts_s": [], "chapters": [],
        "n_frames": len(images)}
    return video, _image_rows(config, subject["video_id"], images)


def _damage(subject: Mapping[str, Any], store: WorkStore) -> list[Rejection]:
    """The stretches of a video that could not be decoded."""
    if subject["media"] != "video":
        return []
    rows = read_records(store.root / subject["decoded"] / "rejected.json", Rejection)
    return [replace(row, source=subject["source"]) for row in rows]


def _without_clips(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Frames of a video of which no clips are stored."""
    place = batch.schema.get_field_index("clip_index")
    return batch.set_column(place, FRAMES.field("clip_index"), pa.nulls(len(batch), pa.int32()))


def _image_rows(config: ImportConfig, video_id: str, images: Sequence[Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
    for number, image in enumerate(images):
        data = (Path(config.media or ".") / image["path"]).read_bytes()
        if hashlib.sha256(data).hexdigest()[:32] != image["image_id"]:
            raise MediaChangedError(f"{image['path']} was changed while it was imported: run the import again")
        yield pa.RecordBatch.from_pylist([{
            "video_id": video_id, "frame_index": number, "t_s": None, "clip_index": None,
            "image": {"bytes": data, "path": Path(image["path"]).name}, "width": image["width"],
            "height": image["height"], "picture_hash": image["picture_hash"]}], schema=FRAMES)


def _rejections(parts: Sequence[Path], buckets: Path, config: ImportConfig) -> Iterator[list[dict[str, Any]]]:
    """What was left out: records in their order, then bucket by bucket what stood there twice or was damaged."""
    of_buckets = (read_records(buckets / str(bucket) / "rejected.json", Rejection) for bucket in range(config.buckets))
    for some in (*map(rejected_of, parts), *of_buckets):
        for at in range(0, len(some), _READ_REJECTIONS):
            yield [to_row(row) for row in some[at:at + _READ_REJECTIONS]]


def _manifest(staging: Path, config: ImportConfig) -> dict[str, Any]:
    def column(table: str, name: str) -> Iterator[Any]:
        return (row[name] for row in read_rows(staging / "data", table, (name,)))

    return manifest_of(
        describe_shards(staging), column("videos", "duration_s"), Counter(column("samples", "kind")),
        Counter(column("rejected", "reason")), config.without_machine(), _LIBRARIES)


def _card(manifest: dict[str, Any]) -> str:
    """The README.md of the data set."""
    return "\n".join([
        "---", "configs:", *card_configs(manifest), "---", "",
        f"# {manifest['config']['dataset']}", "",
        "Instruction data in the tables of a VICO data set, made by `import-instructions`.", "",
        "| table | rows | |", "|---|---|---|",
        *(f"| `{table}` | {manifest['rows'][table]:,} | {COMMENTS[table]} |" for table in TABLES), "",
        "| left out because | times |", "|---|---|",
        *(f"| {reason} | {count:,} |" for reason, count in manifest["rejected_by_reason"].items()), ""])
