"""The products of one video's stages as rows of the tables."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.captions import open_decoded
from pipeline.conversations import conversations
from pipeline.record_files import read_records
from pipeline.source_subtitles import subtitles_of
from pipeline.splits import split_of
from pipeline.subtitles import in_clip
from schemas.records import Caption, Clip, Clue, Measures, Rejection, Sample, Source, Subtitle, Video, to_row
from schemas.tables import VIDEOS


@dataclass(frozen=True, slots=True)
class VideoProducts:
    """Where the finished stages of one video lie, and the source it is listed under."""

    video_id: str
    source: Source
    decoded: Path
    captions: Path
    clues: Path
    questions: Path

    @property
    def is_calibration(self) -> bool:
        """Whether it is a copy with planted needles."""
        return (self.decoded / "needles.json").exists()

    def split(self, test_share: float) -> str:
        """train, test, or calibration for a copy with planted needles."""
        return "calibration" if self.is_calibration else split_of(self.video_id, test_share)


def rows_of(products: VideoProducts, test_share: float) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table but `frames`, which are too many to hold, and `rejected`."""
    decoded = open_decoded(products.decoded)
    captions = {caption.clip_index: caption for caption in read_records(products.captions / "captions.json", Caption)}
    clues = read_records(products.clues / "clues.json", Clue)
    samples = read_records(products.questions / "samples.json", Sample)
    split, is_calibration = products.split(test_share), products.is_calibration
    thumbnails = dict(_thumbnails(products.decoded))
    # what a caption file says stands above what came with the video
    has_given = any(caption.subtitles for caption in captions.values())
    subtitles = None if has_given else subtitles_of(products.source)[0]
    clips = [_clip_row(clip, captions[clip.clip_index], thumbnails[clip.clip_index], subtitles)
             for clip in decoded.clips if clip.clip_index in captions]
    video = to_row(decoded.video) | _said_of(products.source, decoded.video) | {
        "n_clips": len(clips), "n_frames": count_frames(products), "n_samples": len(samples), "split": split,
        "calibration": is_calibration}
    return {
        "videos": [video],
        "clips": clips,
        "clues": [to_row(clue) for clue in clues],
        "samples": [_sample_row(sample, split, is_calibration) for sample in samples],
    }


def count_frames(products: VideoProducts) -> int:
    """How many frames of the video are stored."""
    return pq.read_metadata(products.decoded / "frames.parquet").num_rows


def rejections_of(products: VideoProducts) -> Iterator[Rejection]:
    """What the stages left out of this video."""
    for folder in (products.decoded, products.captions, products.clues, products.questions):
        for row in read_records(folder / "rejected.json", Rejection):
            yield replace(row, source=products.source.source)
    yield from (replace(row, video_id=products.video_id) for row in subtitles_of(products.source)[1])


def _said_of(source: Source, video: Video) -> dict[str, Any]:
    """What list and site say now: it may have changed since the video was decoded."""
    columns = {name: value for name, value in to_row(source).items() if name in VIDEOS.names and name != "chapters"}
    chapters = video.chapters or [chapter for chapter in source.chapters if chapter.start_s < video.duration_s]
    return columns | {"title": source.title or video.title, "chapters": [to_row(chapter) for chapter in chapters]}


def _clip_row(clip: Clip, caption: Caption, thumbnail: bytes, subtitles: list[Subtitle] | None) -> dict[str, Any]:
    lines = caption.subtitles if subtitles is None else in_clip(subtitles, clip.start_s, clip.end_s)
    return to_row(clip) | to_row(caption) | {
        "subtitles": [to_row(line) for line in lines],
        "measures": _measures_row(clip.measures), "thumbnail": {"bytes": thumbnail, "path": f"{clip.clip_id}.jpg"}}


def _measures_row(measures: Measures) -> dict[str, Any]:
    return {"motion": measures.motion, "brightness": measures.brightness, "colours": measures.colours}


def _sample_row(sample: Sample, split: str, is_calibration: bool) -> dict[str, Any]:
    media = {"type": "video", "video_id": sample.video_id, "start_s": sample.span_start_s,
             "end_s": sample.span_end_s, "frame_indexes": sample.frame_indexes}
    checks = {"clock": True, "similarity": sample.similarity, "blind_right": sample.blind_right,
              "blind_asked": sample.blind_asked}
    return to_row(sample) | {
        "dataset": "vico", "split": split, "conversations": conversations(sample), "media": [media],
        "language": "en", "checks": checks, "calibration": is_calibration}


def _thumbnails(decoded: Path) -> Iterator[tuple[int, bytes]]:
    for row in pq.read_table(decoded / "thumbnails.parquet").to_pylist():
        yield row["clip_index"], row["jpeg"]
