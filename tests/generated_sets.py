"""Data sets written directly as Parquet: any size within seconds, with any words in them."""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline.data_card import card_text
from pipeline.report.command import run
from schemas.tables import TABLES, with_footer
from schemas.views import views_sql

CLIP_S = 14.0
KINDS = ("order_events", "came_next", "when", "a_kind_of_tomorrow")
DOMAINS = ("film", "sport", None)
HOSTILE = """ </script><script>document.title='owned'</script><img src=x onerror="document.title='owned'">""" \
    """</style>'"`${1}&lt;\u2028"""
"""Words that want to be more than words."""


def page_of(data_set: Path, out: Path) -> str:
    """Write the page about a data set; its file address."""
    assert run([str(data_set), "--out", str(out), "--name", "sample"]) == 0
    return (out / "index.html").as_uri()


def write_generated_set(
    folder: Path, videos: int, samples: int, clips: int = 12, words: str = "", licences: Sequence[str | None] = (None,)
) -> dict[str, list[dict[str, Any]]]:
    """A data set of `videos` × `clips` clips, with a frame every second and `samples` questions.

    Args:
        folder: where to write it.
        videos: how many.
        samples: how many questions, given to the videos in turn.
        clips: of each video.
        words: what every title, caption, question and option ends with.
        licences: given to the videos in turn.

    Returns:
        The rows of each table.
    """
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for number in range(videos):
        rows["videos"].append(_video(number, clips, words, licences[number % len(licences)], samples, videos))
        for index in range(clips):
            rows["clips"].append(_clip(number, index, words))
            rows["clues"].append(_clue(number, index, words))
        rows["frames"] += [_frame(number, second) for second in range(int(clips * CLIP_S))]
    rows["samples"] = [_sample(number, videos, clips, words) for number in range(samples)]
    rows["rejected"] = [_rejected(index) for index in range(7)]
    for table, some in rows.items():
        path = folder / "data" / table / "train-00000.parquet"
        path.parent.mkdir(parents=True)
        _write(path, table, some)
    _finish(folder, rows)
    return rows


def _write(path: Path, table: str, rows: list[dict[str, Any]]) -> None:
    with pq.ParquetWriter(path, with_footer(table)) as writer:
        if rows:
            ordered = sorted(rows, key=lambda row: str(next(iter(row.values()))))
            writer.write_table(pa.Table.from_pylist(ordered, schema=with_footer(table)))


def _finish(folder: Path, rows: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    manifest = {
        "schema_version": "1", "rows": {table: len(some) for table, some in rows.items()},
        "hours": sum(row["duration_s"] for row in rows["videos"]) / 3600,
        "samples_by_kind": dict(Counter(row["kind"] for row in rows["samples"])),
        "rejected_by_reason": dict(Counter(row["reason"] for row in rows["rejected"])),
        "config": {"captioner": "served", "caption_model": "a-captioner", "orderer": "served",
                   "order_model": "an-orderer", "clip_seconds": CLIP_S},
        "served": {
            "usage": [{"role": "captions", "model": "a-captioner", "prompt": "caption.v1", "questions": 240,
                       "answers": 240, "unusable": 0, "prompt_tokens": 1_234_567, "completion_tokens": 54_321,
                       "seconds": 98.5, "cost": 1.25}],
            "cost": 1.25, "order": [{"model": "an-orderer", "given": 200, "against_clock": 10}], "shuffled": None},
        "files": [{"path": f"data/{table}/train-00000.parquet", "table": table, "rows": len(some)}
                  for table, some in rows.items()],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "views.sql").write_text(views_sql())
    (folder / "README.md").write_text(card_text(manifest))


def video_id(number: int) -> str:
    return f"{number:032x}"


def _video(number: int, clips: int, words: str, licence: str | None, samples: int, videos: int) -> dict[str, Any]:
    return {
        "video_id": video_id(number), "media": "video", "source": f"film-{number}.mp4",
        "title": f"Film {number}{words}",
        "domain": DOMAINS[number % len(DOMAINS)], "language": "en", "license": licence, "uploader": None,
        "published": None, "duration_s": clips * CLIP_S, "width": 640, "height": 360, "fps": 25.0,
        "variable_frame_rate": False, "rotation": 0, "container": "mp4", "codec": "h264",
        "cuts_s": [20.0 * at + 9 for at in range(int(clips * CLIP_S / 20))],
        "chapters": [{"start_s": 0.0, "end_s": 60.0, "title": f"One{words}"}], "n_clips": clips,
        "n_frames": int(clips * CLIP_S), "n_samples": len(range(number, samples, videos)),
        "split": "test" if number == 1 else "train", "calibration": False}


def _clip(number: int, index: int, words: str) -> dict[str, Any]:
    start, caption = index * CLIP_S, f"Clip {index} of film {number}.{words}"
    return {
        "clip_id": f"{video_id(number)}-{index:06d}", "video_id": video_id(number), "clip_index": index,
        "start_s": start, "end_s": start + CLIP_S, "cuts_s": [], "frames_expected": 350, "frames_decoded": 350,
        "caption": caption, "sentences": [caption], "setting": f"a room{words}", "subjects": [f"a man{words}"],
        "actions": [], "on_screen_text": [],
        "key_events": [{"start_s": start + 2, "end_s": start + 6, "text": f"Event {index}{words}"}],
        "subtitles": [{"start_s": start, "end_s": start + 3, "text": f"Hello {index}{words}", "auto": False}],
        "measures": {"motion": 0.1, "brightness": 0.5, "colours": ["red"]}, "caption_frames_s": [start + 7],
        "captioner": "served", "model": "a-captioner", "prompt": "caption.v1", "answer_key": None,
        "thumbnail": {"bytes": _picture(number, index), "path": "thumbnail.jpg"}}


def _clue(number: int, index: int, words: str) -> dict[str, Any]:
    start = index * CLIP_S
    return {
        "clue_id": f"{number:024x}{index:08x}", "video_id": video_id(number), "clip_indexes": [index],
        "start_s": start + 2, "end_s": start + 6, "text": f"Event {index}{words}", "kind": "event", "sentences": [0],
        "orderer": "served", "model": "an-orderer", "prompt": None, "answer_key": None, "order_given": index,
        "kept": index != 3, "reason": "a_reason_of_tomorrow" if index == 3 else None, "similarity": 0.25, "seen": None}


def _frame(number: int, second: int) -> dict[str, Any]:
    return {
        "video_id": video_id(number), "frame_index": second, "t_s": float(second), "clip_index": int(second / CLIP_S),
        "image": {"bytes": _picture(number, int(second / CLIP_S)), "path": f"{second}.jpg"}, "width": 64, "height": 36,
        "picture_hash": 0}


def _sample(number: int, videos: int, clips: int, words: str) -> dict[str, Any]:
    video, kind = number % videos, KINDS[number % len(KINDS)]
    first, last = number % (clips - 5), number % (clips - 5) + 5
    options = [f"Option {letter} of {number}{words}" for letter in "ABCD"] if kind != "a_kind_of_tomorrow" else []
    right = number % 4 if options else None
    question = f"Question {number} about this?\nA moment of film {video}.{words}"
    answer = options[right] if options else f"An open answer to {number}.{words}"
    return {
        "sample_id": f"{(number * 2_654_435_761) % 2**64:032x}", "dataset": "vico", "video_id": video_id(video),
        "split": "test" if video == 1 else "train", "kind": kind, "format": "multiple_choice" if options else "open",
        "question": question, "options": options, "answer": answer, "answer_index": right,
        "conversations": [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}],
        "media": [{"type": "video", "video_id": video_id(video), "start_s": 0.0, "end_s": clips * CLIP_S,
                   "frame_indexes": []}],
        "span_start_s": 0.0, "span_end_s": clips * CLIP_S, "min_frames": 24,
        "evidence": [{"clue_id": f"{video:024x}{at:08x}", "clip_index": at, "start_s": at * CLIP_S,
                      "end_s": (at + 1) * CLIP_S} for at in (first, last)],
        "distance_s": 5 * CLIP_S, "language": "en", "twin_of": None,
        "checks": {"clock": True, "similarity": 0.25, "blind_right": int(number % 3 == 0), "blind_asked": 1},
        "captioner": "served" if number % 5 else "file", "orderer": "served", "calibration": False}


def _rejected(index: int) -> dict[str, Any]:
    return {"stage": "clues", "reason": "a_reason_of_tomorrow", "detail": f"Event {index}", "source": "film-0.mp4",
            "video_id": video_id(0), "clip_index": 3, "item_id": f"{index:032x}", "raw": None}


_PICTURES: dict[tuple[int, int, int], bytes] = {}


def _picture(number: int, index: int) -> bytes:
    """A picture of one colour, small, the same for the same colour."""
    colour = (37 * number % 256, 53 * index % 256, 128)
    if colour not in _PICTURES:
        file = io.BytesIO()
        Image.new("RGB", (64, 36), colour).save(file, "JPEG")
        _PICTURES[colour] = file.getvalue()
    return _PICTURES[colour]
