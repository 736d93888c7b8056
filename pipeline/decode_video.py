"""The decode stage: one sequential pass over a video feeds everything that needs its pictures.

Product (a folder):
    video.json              the `Video` record
    clips.json              a `Clip` record for each clip that was decoded whole
    rejected.json           a `Rejection` for each clip that was not
    frames.parquet          stored frames, columns of the table `frames`
    caption_frames.parquet  clip_index, t_s, jpeg: what a captioner may look at
    thumbnails.parquet      clip_index, jpeg
    looks.parquet           clip_index, t_s, picture_hash, flat: four a second
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.decode import UnreadableVideoError, VideoFacts, read_facts, read_frames
from pipeline.frame_plan import ClipPlan, FramePlan, plan_frames
from pipeline.jpeg import encode_jpeg, upright_bgr
from pipeline.killable_worker import Report
from pipeline.measures import ClipMeasures
from pipeline.picture_hash import is_flat, picture_hash
from pipeline.record_files import write_records
from pipeline.shots import ShotDetector
from pipeline.small_pictures import small_yuv, to_bgr
from schemas.reasons import Reason, Stage
from schemas.records import Chapter, Clip, Measures, Rejection, Source, Video
from schemas.tables import FRAMES

VERSION = "1"
"""Part of the key of every product: raise it when the same video gives another product."""

CAPTION_FRAMES = pa.schema([("clip_index", pa.int32()), ("t_s", pa.float64()), ("jpeg", pa.binary())])
THUMBNAILS = pa.schema([("clip_index", pa.int32()), ("jpeg", pa.binary())])
LOOKS = pa.schema([
    ("clip_index", pa.int32()), ("t_s", pa.float64()), ("picture_hash", pa.int64()), ("flat", pa.bool_()),
])

_THUMBNAIL_SIDE = 144
_FLUSH_BYTES = 8 << 20
_PAIR_S = Fraction(1, 10)
_REPORT_EVERY = 100


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """What a decode product depends on besides the video."""

    clip_seconds: float
    min_last_clip_seconds: float
    max_hours: float
    caption_frames: int
    caption_frame_side: int
    frame_side: int
    jpeg_quality: int


def decode_video(
    report: Report, source: Source, video_id: str, settings: DecodeSettings, threads: int, folder: Path
) -> None:
    """Decode a video once and write the product.

    Raises:
        UnreadableVideoError: no clip can come of the file; the reason says why.
    """
    cv2.setNumThreads(1)  # this process decodes one video; its threads belong to the decoder
    report(0.0)
    facts = read_facts(source.path)
    plan = _plan(facts, settings)
    report(0.0)
    with _Pass(video_id, facts, plan, settings, folder) as run:
        for position, frame in read_frames(source.path, facts, threads):
            if position % _REPORT_EVERY == 0:
                report(position / len(facts.ticks))
            run.take(position, frame)
        cuts = run.finish()
    write_records(folder / "clips.json", Clip, run.clips)
    write_records(folder / "rejected.json", Rejection, run.rejected)
    write_records(folder / "video.json", Video, [_video(source, video_id, facts, cuts)])


def _plan(facts: VideoFacts, settings: DecodeSettings) -> FramePlan:
    if facts.duration_s > settings.max_hours * 3600:
        raise UnreadableVideoError(
            Reason.TOO_LONG, f"it lasts {facts.duration_s / 3600:.2f} hours, more than {settings.max_hours:g}")
    plan = plan_frames(
        facts, Fraction(str(settings.clip_seconds)), Fraction(str(settings.min_last_clip_seconds)),
        settings.caption_frames)
    if not plan.clips:
        raise UnreadableVideoError(
            Reason.TOO_SHORT,
            f"it lasts {facts.duration_s:.2f} s; the shortest clip is {settings.min_last_clip_seconds:g} s")
    return plan


class _Pass:
    """The state of one pass: the clip at hand, what it has shown so far, and the open files."""

    def __init__(
        self, video_id: str, facts: VideoFacts, plan: FramePlan, settings: DecodeSettings, folder: Path
    ) -> None:
        self.clips: list[Clip] = []
        self.rejected: list[Rejection] = []
        self._video_id, self._facts, self._plan, self._settings = video_id, facts, plan, settings
        self._upright = (facts.width, facts.height)
        self._shots = ShotDetector(facts.time_base, facts.fps)
        self._measures = ClipMeasures()
        self._stored = _Marks(plan.stored)
        self._looks = _Marks(plan.looks)
        self._pending_pair: tuple[int, np.ndarray] | None = None
        self._seconds_paired = -1
        self._clip = 0
        self._decoded = 0
        self._rows: dict[str, list[dict[str, Any]]] = {"frames": [], "caption_frames": [], "thumbnails": [],
                                                       "looks": []}
        self._files = {
            "frames": _RowFile(folder / "frames.parquet", FRAMES),
            "caption_frames": _RowFile(folder / "caption_frames.parquet", CAPTION_FRAMES),
            "thumbnails": _RowFile(folder / "thumbnails.parquet", THUMBNAILS),
            "looks": _RowFile(folder / "looks.parquet", LOOKS),
        }

    def __enter__(self) -> "_Pass":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def take(self, position: int, frame: av.VideoFrame) -> None:
        """The next intact frame."""
        while self._clip < len(self._plan.clips) and position >= self._plan.clips[self._clip].last:
            self._close_clip()
        yuv = small_yuv(frame)
        bgr = to_bgr(yuv)
        self._shots.feed(int(self._facts.ticks[position]), bgr)
        if self._clip == len(self._plan.clips) or position < self._plan.clips[self._clip].first:
            return
        self._decoded += 1
        self._look(position, yuv, bgr)
        self._keep_pictures(position, frame, yuv)

    def finish(self) -> list[float]:
        """Close what is open; returns the cuts of the whole video in seconds."""
        while self._clip < len(self._plan.clips):
            self._close_clip()
        cuts = [self._facts.to_seconds(tick) for tick in self._shots.finish(int(self._facts.ticks[-1]))]
        self.clips = [_with_cuts(clip, cuts) for clip in self.clips]
        self._reject_ends()
        if not self.clips:
            raise UnreadableVideoError(
                Reason.NO_WHOLE_CLIP, f"none of its {len(self._plan.clips)} clips could be decoded whole; "
                                      f"the first: {self.rejected[0].detail}")
        return cuts

    def _look(self, position: int, yuv: np.ndarray, bgr: np.ndarray) -> None:
        """Measure light, colours and motion, and hash, at the looks."""
        tick = int(self._facts.ticks[position])
        luma = yuv[..., 0]
        if self._pending_pair is not None and (tick - self._pending_pair[0]) * self._facts.time_base >= _PAIR_S:
            earlier, before = self._pending_pair
            seconds = float((tick - earlier) * self._facts.time_base)
            # Motion is only measured within a shot; across a cut or a long standstill there is none.
            if seconds < 1 and float(cv2.absdiff(before, luma).mean()) < 40:
                self._measures.compare(before, luma, seconds)
            self._pending_pair = None
        if not self._looks.reached(position):
            return
        self._measures.look(yuv, bgr)
        self._rows["looks"].append({
            "clip_index": self._clip, "t_s": self._facts.to_seconds(tick), "picture_hash": picture_hash(luma),
            "flat": is_flat(luma)})
        second = int(tick * self._facts.time_base)
        if second > self._seconds_paired:
            self._seconds_paired = second
            self._pending_pair = (tick, luma.copy())

    def _keep_pictures(self, position: int, frame: av.VideoFrame, yuv: np.ndarray) -> None:
        """Encode the frame for whoever wants it."""
        clip, settings = self._plan.clips[self._clip], self._settings
        t_s = self._facts.to_seconds(int(self._facts.ticks[position]))
        number = self._stored.reached(position)
        if number:
            bgr = self._bgr(frame, settings.frame_side)
            self._rows["frames"].append({
                "video_id": self._video_id, "frame_index": number - 1, "t_s": t_s, "clip_index": clip.index,
                "image": {"bytes": encode_jpeg(bgr, settings.jpeg_quality),
                          "path": f"{self._video_id}-{number - 1:06d}.jpg"},
                "width": bgr.shape[1], "height": bgr.shape[0], "picture_hash": picture_hash(yuv[..., 0])})
        if position in clip.caption_positions:
            jpeg = encode_jpeg(self._bgr(frame, settings.caption_frame_side), settings.jpeg_quality)
            self._rows["caption_frames"].append({"clip_index": clip.index, "t_s": t_s, "jpeg": jpeg})
        if position == clip.thumbnail_position:
            jpeg = encode_jpeg(self._bgr(frame, _THUMBNAIL_SIDE), settings.jpeg_quality)
            self._rows["thumbnails"].append({"clip_index": clip.index, "jpeg": jpeg})

    def _bgr(self, frame: av.VideoFrame, side: int) -> np.ndarray:
        return upright_bgr(frame, side, self._upright, self._facts.rotation)

    def _close_clip(self) -> None:
        """Pass the clip on, or reject it when a frame of it is missing; its rows go the same way."""
        plan = self._plan.clips[self._clip]
        expected = plan.last - plan.first
        measures = self._measures.finish()
        if self._decoded == expected > 0:
            self.clips.append(_clip(self._video_id, plan, expected, self._decoded, measures, self._rows))
            for name, rows in self._rows.items():
                self._files[name].add(rows)
        else:
            self.rejected.append(_short_clip(self._video_id, plan, expected, self._decoded))
        self._rows = {name: [] for name in self._rows}
        self._pending_pair, self._decoded = None, 0
        self._clip += 1

    def _reject_ends(self) -> None:
        facts, last = self._facts, len(self._plan.clips)
        if self._plan.rest_s > 0:
            self.rejected.append(_rejection(
                self._video_id, Reason.LAST_CLIP_TOO_SHORT, f"the last {self._plan.rest_s:.3f} s", last))
        if facts.promised_s is not None:
            self.rejected.append(_rejection(
                self._video_id, Reason.FILE_ENDS_EARLY,
                f"the header promises {facts.promised_s:.1f} s, the file ends at {facts.duration_s:.1f} s", None))


class _Marks:
    """Tells of rising positions which of them are in a sorted list, and as which entry."""

    def __init__(self, positions: tuple[int, ...]) -> None:
        self._number = {position: number for number, position in enumerate(positions, start=1)}

    def reached(self, position: int) -> int:
        """The entry's number from 1, or 0."""
        return self._number.get(position, 0)


class _RowFile:
    """A Parquet file written row group by row group, so that memory does not grow with the video."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, rows: list[dict[str, Any]]) -> None:
        self._rows.extend(rows)
        self._bytes += sum(_picture_bytes(row) for row in rows)
        if self._bytes > _FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._bytes = [], 0


def _picture_bytes(row: dict[str, Any]) -> int:
    return len(row["jpeg"]) if "jpeg" in row else len(row["image"]["bytes"]) if "image" in row else 0


def _clip(
    video_id: str, plan: ClipPlan, expected: int, decoded: int, measures: Measures,
    rows: dict[str, list[dict[str, Any]]],
) -> Clip:
    return Clip(
        clip_id=f"{video_id}-{plan.index:06d}", video_id=video_id, clip_index=plan.index, start_s=plan.start_s,
        end_s=plan.end_s, cuts_s=[], frames_expected=expected, frames_decoded=decoded, measures=measures,
        caption_frames_s=[row["t_s"] for row in rows["caption_frames"]])


def _with_cuts(clip: Clip, cuts: list[float]) -> Clip:
    return replace(clip, cuts_s=[cut for cut in cuts if clip.start_s <= cut < clip.end_s])


def _short_clip(video_id: str, plan: ClipPlan, expected: int, decoded: int) -> Rejection:
    place = f"{plan.start_s:g} to {plan.end_s:g} s"
    if expected == 0:
        return _rejection(video_id, Reason.NO_FRAME_OF_ITS_OWN, f"no frame appears from {place}", plan.index)
    return _rejection(
        video_id, Reason.FRAMES_MISSING, f"{decoded} of {expected} frames from {place} are intact", plan.index)


def _rejection(video_id: str, reason: Reason, detail: str, clip_index: int | None) -> Rejection:
    return Rejection(stage=Stage.DECODE, reason=reason, detail=detail, video_id=video_id, clip_index=clip_index)


def _video(source: Source, video_id: str, facts: VideoFacts, cuts: list[float]) -> Video:
    return Video(
        video_id=video_id, media="video", source=source.source, title=source.title or facts.title,
        domain=source.domain, language=source.language, license=source.license, uploader=source.uploader,
        published=source.published, duration_s=facts.duration_s, width=facts.width, height=facts.height,
        fps=facts.fps, variable_frame_rate=facts.variable_frame_rate, rotation=facts.rotation,
        container=facts.container, codec=facts.codec, cuts_s=cuts,
        chapters=[Chapter(start_s=start, end_s=end, title=title) for start, end, title in facts.chapters])


def read_jpegs(folder: Path) -> Iterator[tuple[int, float, bytes]]:
    """The caption frames of a decode product: clip_index, seconds, JPEG, in order of time."""
    for batch in pq.ParquetFile(folder / "caption_frames.parquet").iter_batches():
        for row in batch.to_pylist():
            yield row["clip_index"], row["t_s"], row["jpeg"]
