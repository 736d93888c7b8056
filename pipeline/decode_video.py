"""The decode stage: one sequential pass over a video feeds everything that needs its pictures.

Product (a folder):
    video.json              the `Video` record
    clips.json              a `Clip` record for each clip that was decoded whole
    rejected.json           a `Rejection` for each clip that was not
    frames.parquet          stored frames, columns of the table `frames`
    caption_frames.parquet  clip_index, t_s, jpeg: what a captioner may look at
    thumbnails.parquet      clip_index, jpeg
    looks.parquet           clip_index, t_s, picture_hash, flat, luma, change: four a second
    needles.json            a `Needle` record for each that was planted, in a planted copy

The same pass writes clip files (`clip_files.py`) where they are wanted.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.clip_files import ClipFileWriter
from pipeline.decode import UnreadableVideoError, VideoFacts, read_facts, read_frames
from pipeline.frame_plan import ClipPlan, FramePlan, plan_frames
from pipeline.killable_worker import Report
from pipeline.looks import LOOKS, ClipLooks
from pipeline.needle_plan import plan_needles
from pipeline.needles import Canvas, Needle, NeedlePainter, PlannedNeedle
from pipeline.picture_encoder import Picture, PictureEncoder
from pipeline.picture_hash import picture_hash
from pipeline.record_files import write_records
from pipeline.row_file import RowFile
from pipeline.shots import ShotDetector
from pipeline.small_pictures import LOOK_WIDTH, SHOT_WIDTH, small_yuv, to_bgr
from schemas.reasons import Reason, Stage
from schemas.records import Chapter, Clip, Measures, Rejection, Source, Video
from schemas.tables import FRAMES

VERSION = "3"
"""Part of the key of every product: raise it when the same video gives another product."""

CAPTION_FRAMES = pa.schema([("clip_index", pa.int32()), ("t_s", pa.float64()), ("jpeg", pa.binary())])
THUMBNAILS = pa.schema([("clip_index", pa.int32()), ("jpeg", pa.binary())])

_THUMBNAIL_SIDE = 144
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
    report: Report, source: Source, video_id: str, settings: DecodeSettings, threads: int, folder: Path,
    needles_seed: int | None = None, clip_folder: Path | None = None,
) -> None:
    """Decode a video once and write the product; with a seed, plant needles in its pictures.

    With a `clip_folder`, its clip files are written there.

    Raises:
        UnreadableVideoError: no clip can come of the file; the reason says why.
    """
    cv2.setNumThreads(1)  # this process decodes one video; its threads belong to the decoder
    report(0.0)
    facts = read_facts(source.path)
    plan = plan_video(facts, settings)
    needles = [] if needles_seed is None else plan_needles(
        plan.clips, Canvas.of(facts), video_id, needles_seed)
    with ExitStack() as writing:
        run = writing.enter_context(_Pass(video_id, facts, plan, settings, folder))
        clip_files = None if clip_folder is None else writing.enter_context(
            ClipFileWriter(video_id, facts, plan.clips, clip_folder))
        for position, frame in painted_frames(report, source.path, facts, needles, threads):
            run.take(position, frame)
            if clip_files is not None:
                clip_files.take(position, frame)
        cuts = run.finish()
        if clip_files is not None:
            clip_files.finish()
    clips = [replace(clip, cuts_s=[cut for cut in cuts if clip.start_s <= cut < clip.end_s]) for clip in run.clips]
    rejected = [*run.rejected, *_ends(video_id, facts, plan)]
    if not clips:
        raise UnreadableVideoError(
            Reason.NO_WHOLE_CLIP, f"all {len(plan.clips)} clips are damaged; the first: {rejected[0].detail}")
    if needles_seed is not None:
        write_records(folder / "needles.json", Needle, [planned.needle for planned in needles])
    write_records(folder / "clips.json", Clip, clips)
    write_records(folder / "rejected.json", Rejection, rejected)
    write_records(folder / "video.json", Video, [_video(source, video_id, facts, cuts)])


def painted_frames(
    report: Report, path: str, facts: VideoFacts, needles: list[PlannedNeedle], threads: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Every intact frame with its position, needles in the place of those they stand on; reports as it goes."""
    painter = NeedlePainter(needles, Canvas.of(facts))
    report(0.0)
    for position, frame in read_frames(path, facts, threads):
        if position % _REPORT_EVERY == 0:
            report(position / len(facts.ticks))
        yield position, painter.paint(facts.to_seconds(int(facts.ticks[position])), frame)


def read_jpegs(folder: Path) -> Iterator[tuple[int, float, bytes]]:
    """The caption frames of a decode product: clip_index, seconds, JPEG, in order of time."""
    for batch in pq.ParquetFile(folder / "caption_frames.parquet").iter_batches():
        for row in batch.to_pylist():
            yield row["clip_index"], row["t_s"], row["jpeg"]


def plan_video(facts: VideoFacts, settings: DecodeSettings) -> FramePlan:
    """Clips and frames of a video.

    Raises:
        UnreadableVideoError: it is too long, or too short for a single clip.
    """
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
    """The state of one pass: the clip at hand, the pictures taken of it so far, and the open files."""

    def __init__(
        self, video_id: str, facts: VideoFacts, plan: FramePlan, settings: DecodeSettings, folder: Path
    ) -> None:
        self.clips: list[Clip] = []
        self.rejected: list[Rejection] = []
        self._video_id, self._facts, self._plan, self._settings = video_id, facts, plan, settings
        self._shots = ShotDetector(facts.time_base, facts.fps)
        self._looks = ClipLooks(facts, plan.looks)
        self._encoder = PictureEncoder((facts.width, facts.height), facts.rotation, settings.jpeg_quality)
        self._stored = {position: number for number, position in enumerate(plan.stored)}
        self._at = 0
        self._decoded = 0
        self._pictures: list[tuple[str, dict[str, Any], Future[Picture]]] = []
        self._files = {
            name: RowFile(folder / f"{name}.parquet", schema)
            for name, schema in (("frames", FRAMES), ("caption_frames", CAPTION_FRAMES), ("thumbnails", THUMBNAILS),
                                 ("looks", LOOKS))}

    def __enter__(self) -> "_Pass":
        return self

    def __exit__(self, *_: object) -> None:
        self._encoder.close()
        for file in self._files.values():
            file.close()

    def take(self, position: int, frame: av.VideoFrame) -> None:
        """The next intact frame."""
        while self._at < len(self._plan.clips) and position >= self._plan.clips[self._at].last:
            self._close_clip()
        self._shots.feed(int(self._facts.ticks[position]), to_bgr(small_yuv(frame, SHOT_WIDTH)))
        if self._at < len(self._plan.clips):
            self._decoded += 1
            self._looks.take(self._at, position, frame)
            self._take_pictures(position, frame)

    def finish(self) -> list[float]:
        """Close what is open; returns the cuts of the whole video in seconds."""
        while self._at < len(self._plan.clips):
            self._close_clip()
        return [self._facts.to_seconds(tick) for tick in self._shots.finish(int(self._facts.ticks[-1]))]

    def _take_pictures(self, position: int, frame: av.VideoFrame) -> None:
        """Have the frame encoded for whoever wants it."""
        clip, settings = self._plan.clips[self._at], self._settings
        t_s = self._facts.to_seconds(int(self._facts.ticks[position]))
        if position in self._stored:
            looks_like = picture_hash(small_yuv(frame, LOOK_WIDTH)[..., 0])
            row = {"video_id": self._video_id, "frame_index": self._stored[position], "t_s": t_s,
                   "clip_index": clip.index, "picture_hash": looks_like}
            self._pictures.append(("frames", row, self._encoder.encode(frame, settings.frame_side)))
        if position in clip.caption_positions:
            row = {"clip_index": clip.index, "t_s": t_s}
            self._pictures.append(("caption_frames", row, self._encoder.encode(frame, settings.caption_frame_side)))
        if position == clip.thumbnail_position:
            row = {"clip_index": clip.index}
            self._pictures.append(("thumbnails", row, self._encoder.encode(frame, _THUMBNAIL_SIDE)))

    def _close_clip(self) -> None:
        """Pass the clip on, or reject it when a frame of it is missing; its pictures go the same way."""
        plan = self._plan.clips[self._at]
        expected, decoded = plan.last - plan.first, self._decoded
        pictures, measures, looks = self._pictures, *self._looks.finish()
        self._pictures, self._decoded = [], 0
        self._at += 1
        if decoded < expected or expected == 0:
            self.rejected.append(_short_clip(self._video_id, plan, expected, decoded))
            return
        self._files["looks"].add(looks)
        for table, row, encoding in pictures:
            picture = encoding.result()
            self._files[table].add([_picture_row(table, row, picture)], len(picture.jpeg))
        shown_s = [row["t_s"] for table, row, _ in pictures if table == "caption_frames"]
        self.clips.append(_clip(self._video_id, plan, decoded, measures, shown_s))


def _picture_row(table: str, row: dict[str, Any], picture: Picture) -> dict[str, Any]:
    if table != "frames":
        return row | {"jpeg": picture.jpeg}
    name = f"{row['video_id']}-{row['frame_index']:06d}.jpg"
    return row | {"image": {"bytes": picture.jpeg, "path": name}, "width": picture.width, "height": picture.height}


def _clip(video_id: str, plan: ClipPlan, frames: int, measures: Measures, caption_frames_s: list[float]) -> Clip:
    return Clip(
        clip_id=f"{video_id}-{plan.index:06d}", video_id=video_id, clip_index=plan.index, start_s=plan.start_s,
        end_s=plan.end_s, cuts_s=[], frames_expected=frames, frames_decoded=frames, measures=measures,
        caption_frames_s=caption_frames_s)


def _short_clip(video_id: str, plan: ClipPlan, expected: int, decoded: int) -> Rejection:
    place = f"{plan.start_s:g} to {plan.end_s:g} s"
    if expected == 0:
        return _rejection(video_id, Reason.NO_FRAME_OF_ITS_OWN, f"no frame appears from {place}", plan.index)
    return _rejection(
        video_id, Reason.FRAMES_MISSING, f"{decoded} of {expected} frames from {place} are intact", plan.index)


def _ends(video_id: str, facts: VideoFacts, plan: FramePlan) -> Iterator[Rejection]:
    """What the end of the video leaves out."""
    if plan.rest_s > 0:
        yield _rejection(video_id, Reason.LAST_CLIP_TOO_SHORT, f"the last {plan.rest_s:.3f} s", len(plan.clips))
    if facts.promised_s is not None:
        yield _rejection(
            video_id, Reason.FILE_ENDS_EARLY,
            f"the header promises {facts.promised_s:.1f} s, the file ends at {facts.duration_s:.1f} s", None)


def _rejection(video_id: str, reason: Reason, detail: str, clip_index: int | None) -> Rejection:
    return Rejection(stage=Stage.DECODE, reason=reason, detail=detail, video_id=video_id, clip_index=clip_index)


def _video(source: Source, video_id: str, facts: VideoFacts, cuts: list[float]) -> Video:
    return Video(
        video_id=video_id, media="video", source=source.source, title=facts.title,
        domain=source.domain, language=source.language, license=source.license, uploader=source.uploader,
        published=source.published, duration_s=facts.duration_s, width=facts.width, height=facts.height,
        fps=facts.fps, variable_frame_rate=facts.variable_frame_rate, rotation=facts.rotation,
        container=facts.container, codec=facts.codec, cuts_s=cuts,
        chapters=[Chapter(start_s=start, end_s=end, title=title) for start, end, title in facts.chapters])
