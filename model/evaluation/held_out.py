"""Held-out questions: the samples of the test split, stretch by stretch, with the frames they are about."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

_SAMPLE_COLUMNS = ["sample_id", "video_id", "kind", "format", "options", "answer_index", "conversations", "media",
                   "span_start_s", "span_end_s"]


@dataclass(frozen=True, slots=True)
class AskedSpan:
    """A stretch of a video and the questions about it."""

    video_id: str
    start_s: float
    end_s: float
    samples: tuple[dict[str, Any], ...]
    """Rows of `samples`."""


def held_out_spans(
    data_sets: Sequence[Path], kinds: Sequence[str], formats: Sequence[str], span_seconds: float, questions: int,
    seed: int = 0,
) -> list[AskedSpan]:
    """Questions of the test split about stretches of one length.

    Left out are twins, which show frames out of order, and videos that show what another one shows: that may be one of
    those trained on.

    Args:
        data_sets: folders of shards with the same videos.
        kinds, formats: of samples.
        span_seconds: length of the stretches.
        questions: at most so many, drawn at random.
        seed: of the draw.
    """
    rows = []
    for folder in data_sets:
        duplicates = {video_id for path in (folder / "data" / "duplicates").glob("*.parquet")
                      for video_id in pq.read_table(path, columns=["video_id"])["video_id"].to_pylist()}
        for path in sorted((folder / "data" / "samples").glob("test-*.parquet")):
            rows += [row for row in pq.read_table(path, columns=_SAMPLE_COLUMNS).to_pylist()
                     if row["kind"] in kinds and row["format"] in formats and not row["media"][0]["frame_indexes"]
                     and row["video_id"] not in duplicates
                     and abs(row["span_end_s"] - row["span_start_s"] - span_seconds) < 0.5]
    rows.sort(key=lambda row: row["sample_id"])
    chosen = Random(seed).sample(rows, min(questions, len(rows)))
    spans: dict[tuple[str, float, float], list[dict[str, Any]]] = defaultdict(list)
    for row in chosen:
        spans[row["video_id"], row["span_start_s"], row["span_end_s"]].append(row)
    return [AskedSpan(*place, tuple(samples)) for place, samples in sorted(spans.items())]


class StoredFrames:
    """The stored frames of a data set, decoded when they are asked for; the files stay in memory as JPEG."""

    def __init__(self, folder: Path) -> None:
        self._frames: dict[str, list[tuple[float, bytes]]] = defaultdict(list)
        for path in sorted((folder / "data" / "frames").glob("*.parquet")):
            table = pq.read_table(path, columns=["video_id", "t_s", "image"])
            for video_id, t_s, image in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
                self._frames[video_id].append((t_s, image["bytes"]))

    def of(self, span: AskedSpan) -> Iterator[np.ndarray]:
        """Frames of a stretch in order, uint8 [height, width, 3]."""
        for t_s, jpeg in self._frames[span.video_id]:
            if span.start_s <= t_s < span.end_s:
                yield np.asarray(Image.open(BytesIO(jpeg)).convert("RGB"))
