"""The pass that writes clip files alone, for a video whose pictures were taken already (`decode_video.py`)."""

from pathlib import Path

import cv2

from pipeline.clip_files import ClipFileWriter
from pipeline.decode import read_facts
from pipeline.decode_video import DecodeSettings, painted_frames, plan_video
from pipeline.killable_worker import Report
from pipeline.needle_plan import plan_needles
from pipeline.needles import Canvas
from schemas.records import Source


def cut_clips(
    report: Report, source: Source, video_id: str, settings: DecodeSettings, threads: int, folder: Path,
    needles_seed: int | None = None,
) -> None:
    """Decode a video once more and write its clip files: the bytes that the decode stage would have written.

    Raises:
        UnreadableVideoError: the file cannot be read any more.
    """
    cv2.setNumThreads(1)  # as in the decode stage
    report(0.0)
    facts = read_facts(source.path)
    clips = plan_video(facts, settings).clips
    needles = [] if needles_seed is None else plan_needles(clips, Canvas.of(facts), video_id, needles_seed)
    with ClipFileWriter(video_id, facts, clips, folder) as writer:
        for position, frame in painted_frames(report, source.path, facts, needles, threads):
            writer.take(position, frame)
        writer.finish()
