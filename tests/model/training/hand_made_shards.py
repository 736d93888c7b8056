"""Data sets written by hand, row by row, for tests that need to know every one of them."""

import io
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from schemas.tables import TABLES, with_footer


def jpeg(seed: int, width: int = 40, height: int = 28) -> bytes:
    """A small picture of its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(file, "JPEG")
    return file.getvalue()


def turned_jpeg(tag: int, kind: int, width: int = 40, height: int = 28) -> bytes:
    """A small picture that EXIF turns upside down, with one more tag, whose value may be of a kind that is not the
    tag's.
    """
    entries = [struct.pack("<HHII", *entry) for entry in sorted([(0x0112, 3, 1, 3), (tag, kind, 1, 8)])]
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(44)
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def frame(video_id: str, index: int, t_s: float | None, picture: bytes, size: tuple[int, int] = (40, 28)) -> dict:
    """A row of `frames`."""
    return {"video_id": video_id, "frame_index": index, "t_s": t_s, "clip_index": None,
            "image": {"bytes": picture, "path": f"{video_id}-{index}.jpg"}, "width": size[0], "height": size[1],
            "picture_hash": 0}


def video_frames(video_id: str, seconds: int, seed: int = 0) -> list[dict]:
    """One frame a second, each a picture of its own."""
    return [frame(video_id, second, float(second), jpeg(seed + second)) for second in range(seconds)]


def medium(video_id: str, start_s: float | None = None, end_s: float | None = None, kind: str = "video",
           frame_indexes: Sequence[int] = ()) -> dict:
    """An entry of the column `media`."""
    return {"type": kind, "video_id": video_id, "start_s": start_s, "end_s": end_s,
            "frame_indexes": list(frame_indexes)}


def sample(
    sample_id: str, media: Sequence[dict], *turns: str, dataset: str = "made", kind: str = "asked", **more: Any
) -> dict:
    """A row of `samples`; turns of human and gpt by turns."""
    speakers = ["human", "gpt"] * len(turns)
    talk = [{"from": who, "value": what} for who, what in zip(speakers, turns, strict=False)]
    return {
        "sample_id": sample_id, "dataset": dataset, "video_id": media[0]["video_id"] if media else None,
        "split": "train", "kind": kind, "format": "open", "question": turns[0], "options": [],
        "answer": turns[1] if len(turns) > 1 else "", "answer_index": None, "conversations": talk,
        "media": list(media), "span_start_s": None, "span_end_s": None, "min_frames": None, "evidence": [],
        "distance_s": None, "language": "en", "twin_of": None,
        "checks": {"clock": False, "similarity": 0.0, "blind_right": 0, "blind_asked": 0},
        "captioner": "", "orderer": "", "calibration": False, **more}


def write_data_set(
    root: Path, samples: Iterable[Mapping[str, Any]], frames: Iterable[Mapping[str, Any]],
    duplicates: Iterable[str] = (), frames_per_group: int = 10_000, planted: Iterable[str] = (),
) -> Path:
    """Write a finished data set; row groups of frames end at the first video boundary after so many frames."""
    rows = {
        "samples": sorted(samples, key=lambda row: row["sample_id"]),
        "frames": sorted(frames, key=lambda row: (row["video_id"], row["frame_index"])),
        "duplicates": [{"video_id": video, "duplicate_of": "other"} for video in duplicates],
        "videos": [_video(video) for video in planted]}
    for table in TABLES:
        path = root / "data" / table / "train-00000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(path, with_footer(table)) as writer:
            for group in _groups(rows.get(table, []), frames_per_group if table == "frames" else 10**9):
                writer.write_table(pa.Table.from_pylist(group, schema=with_footer(table)))
    (root / "manifest.json").write_text(json.dumps({"schema_version": "1"}))
    return root


def _groups(rows: list[Mapping[str, Any]], size: int) -> Iterable[list[Mapping[str, Any]]]:
    group: list[Mapping[str, Any]] = []
    for row in rows:
        if len(group) >= size and row["video_id"] != group[-1]["video_id"]:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _video(video_id: str) -> dict:
    """A row of `videos` of a planted video."""
    return {"video_id": video_id, "media": "video", "source": video_id, "duration_s": 1.0, "width": 40, "height": 28,
            "fps": 1.0, "variable_frame_rate": False, "rotation": 0, "container": "", "codec": "", "cuts_s": [],
            "chapters": [], "n_clips": 0, "n_frames": 0, "n_samples": 0, "split": "train", "calibration": True}
