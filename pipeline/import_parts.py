"""Records in parts of a few thousand, each worked off once: checked, their media read, and noted as light rows.

Product of a part (a folder in the work store):
    samples.parquet  rows of the table `samples` and the bucket each belongs to
    subjects.parquet what samples are about: an image, the images of one record, or a video, and where its pictures are
    rejected.json    records that were left out

No picture of an image is copied here: it is read again when the tables are written.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.captions import open_decoded
from pipeline.import_media import Fault, ImageFacts, MediaReader
from pipeline.instruction_records import (
    MARK,
    Instruction,
    UnusableRecordError,
    multiple_choice,
    read_instruction,
    read_values,
    shown_raw,
)
from pipeline.record_files import read_records, write_records
from pipeline.splits import bucket_of
from pipeline.work_store import WorkStore, key_of
from schemas.import_config import ImportConfig
from schemas.reasons import SENTENCES, Reason, Stage
from schemas.records import Rejection
from schemas.tables import SAMPLES

VERSION = "1"
"""Part of the key of every product: raise it when the same records give another one."""

STAGE = "import"
_RECORDS_IN_A_PART = 4096
_ROWS_IN_A_GROUP = 512  # sorted by bucket, so that one bucket's rows are found without reading the others

SUBJECTS = pa.schema([
    ("bucket", pa.int32()), ("video_id", pa.string()), ("media", pa.string()), ("source", pa.string()),
    ("decoded", pa.string()),
    ("images", pa.list_(pa.struct([
        ("image_id", pa.string()), ("path", pa.string()), ("width", pa.int32()), ("height", pa.int32()),
        ("picture_hash", pa.int64()), ("codec", pa.string())]))),
])
_BUCKETED_SAMPLES = pa.schema([pa.field("bucket", pa.int32()), *SAMPLES])


def count_records(config: ImportConfig) -> int:
    """How many records there are. All files are read to their end, so that a broken one is known before any medium.

    Raises:
        RecordsError: a file cannot be read.
    """
    return sum(1 for name in config.records for _ in read_values(Path(name)))


def read_parts(config: ImportConfig) -> Iterator[list[tuple[str, Any]]]:
    """The values of all files of records, a part at a time, each with the place it stands at.

    Raises:
        RecordsError: a file cannot be read.
    """
    def values() -> Iterator[tuple[str, Any]]:
        for name in config.records:
            for number, value in read_values(Path(name)):
                yield f"{Path(name).name}:{number}", value

    each = values()
    while part := list(islice(each, _RECORDS_IN_A_PART)):
        yield part


def work_off(
    part: Sequence[tuple[str, Any]], config: ImportConfig, media: MediaReader, store: WorkStore,
    told: Callable[[float], None],
) -> Path:
    """The product of a part; made when it is not there yet.

    Its key depends on the records, on size and time of every file they name, and on the choices.

    Args:
        told: called while media are read with how many records more they make, in fractions of records.
    """
    records: list[tuple[str, Instruction]] = []
    rejected: list[Rejection] = []
    for place, value in part:
        try:
            records.append((place, read_instruction(value)))
        except UnusableRecordError as fault:
            record_id = value.get("id") if isinstance(value, dict) else None
            rejected.append(_rejection(place, record_id, fault.reason, fault.detail, shown_raw(value)))
    paths = sorted({path for _, record in records for path in record.paths})
    key = key_of(VERSION, config.without_machine(), [asdict(record) for _, record in records],
                 [asdict(row) for row in rejected], [[path, *_stamp(config, path)] for path in paths])
    product = store.find(STAGE, key)
    if product is None:
        with store.write(STAGE, key) as folder:
            _write(folder, records, rejected, config, media, store, lambda count: told(count * len(part) / len(paths)))
        product = store.find(STAGE, key)
    return product


def rejected_of(product: Path) -> list[Rejection]:
    """What a part left out."""
    return read_records(product / "rejected.json", Rejection)


def _stamp(config: ImportConfig, path: str) -> tuple[int, int]:
    try:
        facts = os.stat(Path(config.media or ".") / path)
    except (OSError, ValueError):
        return 0, 0
    return facts.st_size, facts.st_mtime_ns


def _write(
    folder: Path, records: Sequence[tuple[str, Instruction]], rejected: list[Rejection], config: ImportConfig,
    media: MediaReader, store: WorkStore, told: Callable[[int], None],
) -> None:
    paths = {kind: sorted({path for _, one in records if one.media == kind for path in one.paths})
             for kind in ("image", "video")}
    found = {"image": media.read_images(paths["image"], told), "video": media.read_videos(paths["video"], told)}
    samples, subjects = [], {}
    for place, record in records:
        read = [found[record.media][path] for path in record.paths]
        fault = next((one for one in read if isinstance(one, Fault)), None)
        if fault is not None:
            path = record.paths[read.index(fault)]
            rejected.append(_rejection(place, record.record_id, fault.reason, f"{path}: {fault.detail}", None))
            continue
        about = _subjects_of(record, read, store)
        for subject in about:
            bucket = bucket_of(subject["video_id"], config.buckets)
            subjects.setdefault(subject["video_id"], subject | {"bucket": bucket})
        samples.append(_sample(record, about, read, config))
    write_records(folder / "rejected.json", Rejection, rejected)
    _write_by_bucket(folder / "samples.parquet", samples, _BUCKETED_SAMPLES)
    _write_by_bucket(folder / "subjects.parquet", list(subjects.values()), SUBJECTS)


def _write_by_bucket(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    rows.sort(key=lambda row: row["bucket"])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=_ROWS_IN_A_GROUP)


def _subjects_of(record: Instruction, read: Sequence[Any], store: WorkStore) -> list[dict[str, Any]]:
    """What a record is about: its videos one by one, or all its images together."""
    if record.media == "video":
        return [
            {"video_id": one.video_id, "media": "video", "source": path, "images": [],
             "decoded": one.decoded.relative_to(store.root).as_posix()}
            for path, one in zip(record.paths, read, strict=True)]
    if not read:
        return []
    images = [_image(path, one) for path, one in zip(record.paths, read, strict=True)]
    one_image = len(images) == 1
    video_id = read[0].video_id if one_image else key_of("images", [one.video_id for one in read])
    return [{"video_id": video_id, "media": "image" if one_image else "images", "source": record.paths[0],
             "images": images, "decoded": None}]


def _image(path: str, facts: ImageFacts) -> dict[str, Any]:
    return {"image_id": facts.video_id, "path": path, "width": facts.width, "height": facts.height,
            "picture_hash": facts.picture_hash, "codec": facts.codec}


def _sample(
    record: Instruction, about: Sequence[dict[str, Any]], read: Sequence[Any], config: ImportConfig
) -> dict[str, Any]:
    """A row of `samples`."""
    conversations = [{"from": speaker, "value": words} for speaker, words in record.turns]
    media = list(_media(record, about, read))
    asked = next(words for speaker, words in record.turns if speaker == "human").replace(MARK, "").strip()
    answer = next(words for speaker, words in record.turns if speaker == "gpt").strip()
    choice = multiple_choice(asked, answer)
    sample_id = key_of(config.dataset, media, conversations)
    videos = [one for one in media if one["type"] == "video"]
    span = videos[0] if len(videos) == 1 else {"start_s": None, "end_s": None}
    return {
        "bucket": bucket_of(about[0]["video_id"] if about else sample_id, config.buckets),
        "sample_id": sample_id, "dataset": config.dataset, "video_id": about[0]["video_id"] if about else None,
        "split": "train", "kind": record.kind, "format": "multiple_choice" if choice else "open",
        "question": choice.question if choice else asked, "options": list(choice.options) if choice else [],
        "answer": choice.options[choice.answer_index] if choice else answer,
        "answer_index": choice.answer_index if choice else None, "conversations": conversations, "media": media,
        "span_start_s": span["start_s"], "span_end_s": span["end_s"],
        "min_frames": None, "evidence": [], "distance_s": None, "language": config.language, "twin_of": None,
        "checks": {"clock": False, "similarity": 0.0, "blind_right": 0, "blind_asked": 0},
        "captioner": "given", "orderer": "given", "calibration": False}


def _media(record: Instruction, about: Sequence[dict[str, Any]], read: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What each mark stands for."""
    if record.media == "video":
        for subject, one in zip(about, read, strict=True):
            yield {"type": "video", "video_id": subject["video_id"], "start_s": 0.0,
                   "end_s": open_decoded(one.decoded).video.duration_s, "frame_indexes": []}
        return
    for number in range(len(read)):
        yield {"type": "image", "video_id": about[0]["video_id"], "start_s": None, "end_s": None,
               "frame_indexes": [number] if len(read) > 1 else []}


def _rejection(place: str, record_id: Any, reason: Reason, detail: str, raw: str | None) -> Rejection:
    said = json.dumps(record_id) if not isinstance(record_id, (str, type(None))) else record_id
    return Rejection(
        stage=Stage.IMPORT, reason=reason, detail=_sound(f"{SENTENCES[reason]}: {detail}"), source=_sound(place),
        item_id=None if said is None else _sound(said), raw=raw)


def _sound(text: str) -> str:
    """Text that a table can hold, whatever a stranger wrote."""
    return text.encode("utf-8", "replace").decode()
