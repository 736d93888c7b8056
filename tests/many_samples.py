"""Sample rows by the million, straight as shards: what they count to is known from drawing them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.shard_files import fill_absent, open_writer, shard_path
from schemas.tables import SAMPLES, with_footer
from schemas.views import views_sql

KINDS = (
    "after_event", "before_event", "came_next", "came_first", "how_many_between", "order_events", "which_half", "when")
_SPANS_S = (180.0, 600.0, 1800.0, 5400.0)
_BASE_ROWS = 2000
_VIDEOS_A_SHARD = 400


@dataclass
class Drawn:
    """What is in the shards."""

    kinds: Counter[str] = field(default_factory=Counter)
    distance_s: Counter[str] = field(default_factory=Counter)
    """Sum by kind, whole seconds."""
    answers: Counter[int] = field(default_factory=Counter)


def write_many_samples(folder: Path, count: int, buckets: int, seed: int) -> Drawn:
    """A data set that holds samples and no other row.

    Args:
        folder: where to write it.
        count: samples in all.
        buckets: shards; the first of every fifty is of the split `test`.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    drawn, base = Drawn(), _base()
    for bucket in range(buckets):
        rows = count // buckets + (bucket < count % buckets)
        split = "train" if bucket % 50 else "test"
        with open_writer(shard_path(folder / "data", "samples", split, bucket), "samples") as writer:
            writer.write_table(_draw(base, rows, bucket, split, rng, drawn))
    fill_absent(folder / "data")
    (folder / "views.sql").write_text(views_sql(), encoding="utf-8")
    return drawn


def _draw(base: pa.Table, rows: int, bucket: int, split: str, rng: np.random.Generator, drawn: Drawn) -> pa.Table:
    """Rows whose ids, kinds, numbers and questions are drawn; lists and options repeat after two thousand rows."""
    kinds = rng.choice(len(KINDS), rows, p=np.arange(1, len(KINDS) + 1) / sum(range(1, len(KINDS) + 1)))
    distance_s = rng.integers(14, 5400, rows)
    answers = rng.integers(0, 4, rows)
    for number, kind in enumerate(KINDS):
        drawn.kinds[kind] += int((kinds == number).sum())
        drawn.distance_s[kind] += int(distance_s[kinds == number].sum())
    drawn.answers.update(answers.tolist())
    repeated = pa.concat_tables([base] * -(-rows // len(base))).slice(0, rows)
    videos = pa.array([f"{bucket:08x}{number:024x}" for number in range(_VIDEOS_A_SHARD)])
    numbers = pa.array(rng.integers(0, 1 << 48, rows)).cast(pa.string())
    fresh: dict[str, Any] = {
        "sample_id": pa.array(sorted(rng.bytes(16).hex() for _ in range(rows))),
        "video_id": videos.take(pa.array(np.sort(rng.integers(0, _VIDEOS_A_SHARD, rows)))),
        "split": pa.array([split] * rows),
        "kind": pa.array(KINDS).take(pa.array(kinds)),
        "question": pc.binary_join_element_wise("What happens after the woman in", numbers, "opens the door?", " "),
        "answer_index": pa.array(answers, pa.int8()),
        "distance_s": pa.array(distance_s.astype(np.float64)),
        "span_end_s": pa.array(np.array(_SPANS_S)[rng.integers(0, len(_SPANS_S), rows)]),
        "min_frames": pa.array(rng.integers(8, 600, rows), pa.int32()),
    }
    columns = [fresh.get(name, repeated.column(name) if name in repeated.column_names else None)
               for name in SAMPLES.names]
    return pa.Table.from_arrays([
        pa.nulls(rows, kind.type) if column is None else column for column, kind in zip(columns, SAMPLES, strict=True)
    ], schema=with_footer("samples"))


def _base() -> pa.Table:
    """Rows as long as those of a build, without the columns that are drawn and those that are null."""
    rows = []
    for number in range(_BASE_ROWS):
        options = [f"the man with bag {number * 7 + place} walks along the wall and stops" for place in range(4)]
        question = f"<image>\nWhat happens after the woman in coat {number} opens the door?\n" + "\n".join(options)
        rows.append({
            "dataset": "vico", "format": "multiple_choice", "options": options, "answer": options[number % 4],
            "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": "ABCD"[number % 4]}],
            "media": [{"type": "video", "video_id": f"{number:032x}", "start_s": 0.0, "end_s": 600.0,
                       "frame_indexes": []}],
            "span_start_s": 0.0,
            "evidence": [{"clue_id": f"{number + at:032x}", "clip_index": at, "start_s": 14.0 * at,
                          "end_s": 14.0 * at + 14} for at in (number % 40, number % 40 + 3)],
            "language": "en", "checks": {"clock": True, "similarity": 0.25, "blind_right": 1, "blind_asked": 4},
            "captioner": "served", "orderer": "served", "calibration": False})
    names = list(rows[0])
    return pa.Table.from_pylist(rows, schema=pa.schema([SAMPLES.field(name) for name in names]))
