"""Clip files, when `--keep-clips` asks for them: every clip as a video of its own, exactly the frames of its window.

Product (a folder): `{clip_id}.mp4` for each clip that was decoded whole, H.264 without sound. Frames are encoded anew:
a stream that is copied can begin at a key frame only, and brings frames of another window along. The first frame is at
time zero, and the distances between frames are those of the video. Pictures are upright and 8 bits deep.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from threading import Semaphore
from typing import Any

import av
from av.video.frame import PictureType

from pipeline import needles
from pipeline.decode import VideoFacts
from pipeline.frame_plan import ClipPlan
from pipeline.work_store import Inputs
from schemas.build_config import BuildConfig

VERSION = "1"

_OPTIONS = {"preset": "ultrafast", "crf": "23"}
"""The quickest encoder that every PyAV brings. It makes no B-frames, so the file needs no edit list, which readers do
not agree about."""
_THREADS = 4
"""Of the encoder. A fixed number: what x264 writes depends on it."""
_MOST_WAITING = 8
"""Frames that may wait for the encoder: each is a full picture in memory."""
_TURNS = {90: ("transpose=cclock",), 180: ("hflip", "vflip"), 270: ("transpose=clock",)}
"""FFmpeg's filters by the degrees counter-clockwise that a player turns the stored picture by."""
_MOST_PARTS_OF_RATE = 60_000


def clip_files_inputs(config: BuildConfig, video_id: str, is_planted: bool) -> Inputs:
    """All that the clip files of a video depend on; captions and pictures are not among it."""
    planted = {"needles": needles.VERSION, "seed": config.seed} if is_planted else {}
    return {"version": VERSION, "video": video_id, "clip_seconds": config.clip_seconds,
            "min_last_clip_seconds": config.min_last_clip_seconds} | planted


def clip_file_name(video_id: str, clip_index: int) -> str:
    """The file of a clip: its id and the suffix."""
    return f"{video_id}-{clip_index:06d}.mp4"


class ClipFileWriter:
    """Takes the frames of one pass and writes a file for each clip of which no frame is missing.

    Encoding runs in a thread beside the decode. As a context manager it ends the thread and, after an error, leaves
    what is half written to whoever throws the folder away.
    """

    def __init__(self, video_id: str, facts: VideoFacts, clips: Sequence[ClipPlan], folder: Path) -> None:
        """
        Args:
            video_id: id of the video.
            facts: of the video.
            clips: as planned, in order of time.
            folder: where the files go.
        """
        self._video_id, self._facts, self._clips, self._folder = video_id, facts, deque(clips), folder
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._room = Semaphore(_MOST_WAITING)
        self._encoding: deque[Future[None]] = deque()
        self._taken = 0
        self._file: _ClipFile | None = None  # the thread's alone

    def __enter__(self) -> "ClipFileWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def take(self, position: int, frame: av.VideoFrame) -> None:
        """The next intact frame; waits when too many are waiting already.

        Raises:
            OSError: an earlier frame could not be written; av.FFmpegError where it is the encoder's fault.
        """
        while self._clips and position >= self._clips[0].last:
            self._end_clip()
        if not self._clips:
            return
        self._taken += 1
        while self._encoding and self._encoding[0].done():
            self._encoding.popleft().result()
        self._room.acquire()
        self._encoding.append(self._thread.submit(self._encode, self._clips[0], position, frame))

    def finish(self) -> None:
        """Close the last file.

        Raises:
            OSError, av.FFmpegError: see `take`.
        """
        while self._clips:
            self._end_clip()
        for encoding in self._encoding:
            encoding.result()

    def _end_clip(self) -> None:
        clip = self._clips.popleft()
        is_whole = self._taken == clip.last - clip.first
        if self._taken:
            self._encoding.append(self._thread.submit(self._close_file, is_whole))
        self._taken = 0

    def _encode(self, clip: ClipPlan, position: int, frame: av.VideoFrame) -> None:
        try:
            if self._file is None:
                path = self._folder / clip_file_name(self._video_id, clip.index)
                self._file = _ClipFile(path, self._facts, position, frame)
            self._file.add(position, frame)
        finally:
            self._room.release()

    def _close_file(self, is_whole: bool) -> None:
        file, self._file = self._file, None
        file.close()
        if not is_whole:
            file.path.unlink()


class _ClipFile:
    """One file, as its first frame wants it: even width and height, for 4:2:0 knows no others."""

    def __init__(self, path: Path, facts: VideoFacts, position: int, frame: av.VideoFrame) -> None:
        self.path, self._facts, self._first = path, facts, int(facts.ticks[position])
        self._size = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
        frame = self._prepared(frame)
        self._turn = _turning(frame, facts) if facts.rotation in _TURNS else None
        width, height = self._size[::-1] if facts.rotation % 180 else self._size
        self._container = av.open(str(path), "w", format="mp4")
        rate = Fraction(facts.fps).limit_denominator(_MOST_PARTS_OF_RATE) or Fraction(1)
        self._stream: Any = self._container.add_stream("libx264", rate=rate, options=_OPTIONS)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        context = self._stream.codec_context
        context.time_base, context.thread_count = facts.time_base, _THREADS
        context.sample_aspect_ratio = Fraction(facts.width * height, facts.height * width)
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc

    def add(self, position: int, frame: av.VideoFrame) -> None:
        """Encode a frame under the time it is shown at."""
        frame = self._prepared(frame)
        if self._turn is not None:
            self._turn.push(frame)
            frame = self._turn.pull()
        ticks = self._facts.ticks
        tick, end = int(ticks[position]), self._facts.end_tick
        frame.pts, frame.time_base = tick - self._first, self._facts.time_base
        frame.duration = (int(ticks[position + 1]) if position + 1 < len(ticks) else end) - tick
        frame.pict_type = PictureType.NONE  # else the encoder would make key frames where the video had them
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the index."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _prepared(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same frame where it is as it should be; damaged streams change their size on the way."""
        return frame.reformat(width=self._size[0], height=self._size[1], format="yuv420p")


def _turning(frame: av.VideoFrame, facts: VideoFacts) -> av.filter.Graph:
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(width=frame.width, height=frame.height, format="yuv420p", time_base=facts.time_base)]
    for turn in _TURNS[facts.rotation]:
        name, _, argument = turn.partition("=")
        nodes.append(graph.add(name, argument or None))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph
