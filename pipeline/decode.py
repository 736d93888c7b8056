"""Reading videos of strangers: what a container says, every frame at its own time, or a few frames picked.

Two readers, each for what it does best: PyAV for one pass over everything (`read_frames`), decord for a few
frames out of a long file (`pick_frames`), where its times are those of the container; elsewhere PyAV.

Time zero is the container's start as players show it. Decisions about time are taken in whole ticks
of the stream's time base, never in floats. PyAV reads; the caller runs this in a process that can be
killed (`pipeline.killable_worker`), because a decoder may hang or crash on a hostile file.
"""

import itertools
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from schemas.reasons import Reason

_USUAL_STEP_TOLERANCE = Fraction(1, 50)
_VARIABLE_FROM_SHARE = 0.01
_PROMISE_TOLERANCE_S = 1.0
_LONGEST_REORDERING_S = 10
_NEAR_S = 10
_MOST_PIXELS = 36_000_000
"""8K and a little: what a frame may take is known before the first one is decoded."""
_MOST_FRAMES = 48 * 3600 * 120
"""Two days at 120 frames a second, in 166 MB of times."""
_MICROSECOND = Fraction(1, 1_000_000)
_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,ogg,asf,asf_o,mxf,nut,rm,wtv,nsv,dv,gif,ivf,h264,"
    "hevc,vvc,av1,obu,m4v,vc1,mjpeg,yuv4mpegpipe,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,mp3,wav,aac,flac,ac3,eac3,aiff,caf,amr,ape,wv")
"""FFmpeg's names of what is read: containers, bare streams, and pictures and sound, to say of them what lacks.
None of them names other files, as playlists, `concat` scripts, manifests and session descriptions do."""


class UnreadableVideoError(Exception):
    """A file that cannot become data, with the reason for the table `rejected`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What the container says of its first moving picture, found without decoding it.

    `ticks` holds the presentation time of every frame a player shows, strictly increasing, in units
    of `time_base` seconds, zero at the container's start: 8 bytes a frame, 9 MB for ten hours.
    """

    container: str
    codec: str
    width: int
    height: int
    rotation: int
    time_base: Fraction
    start_ticks: int
    ticks: np.ndarray
    end_tick: int
    variable_frame_rate: bool
    promised_s: float | None
    title: str | None
    chapters: tuple[tuple[float, float, str | None], ...]

    @property
    def duration_s(self) -> float:
        """Seconds from the container's start to the end of the last frame."""
        return float(self.end_tick * self.time_base)

    @property
    def fps(self) -> float:
        """Mean frames per second over the shown stretch."""
        shown_s = (self.end_tick - int(self.ticks[0])) * self.time_base
        return float(len(self.ticks) / shown_s)

    def to_ticks(self, seconds: Fraction) -> int:
        """The first tick at or after a time."""
        exact = seconds / self.time_base
        return -(-exact.numerator // exact.denominator)

    def to_seconds(self, tick: int) -> float:
        """A tick as seconds."""
        return float(tick * self.time_base)


@dataclass(slots=True)
class _Packets:
    """What one demultiplexing pass over a file collects."""

    ticks: "array[int]"
    usual_duration: int
    first_key: int | None
    starts: dict[int, Fraction]
    last_end_s: Fraction


def read_facts(path: str) -> VideoFacts:
    """Read a container from end to end without decoding more than its first frame.

    Args:
        path: a local file.

    Raises:
        UnreadableVideoError: the file is empty, no video, has no moving picture, or no decodable frame.
    """
    if Path(path).stat().st_size == 0:
        raise UnreadableVideoError(Reason.EMPTY_FILE, "the file holds no bytes")
    with _open(path) as container:
        stream = _picture_stream(container)
        # the shape of a pixel can make a small picture a huge one
        _check_size(stream.codec_context.width, stream.codec_context.height)
        _check_size(*_upright_size(stream, 0))
        time_base = Fraction(stream.time_base)
        rotation = _rotation(path)
        packets = _scan_packets(container, stream)
        if not packets.ticks:
            raise UnreadableVideoError(Reason.UNREADABLE, "the picture stream holds no frame with a time")
        start = _container_start(container, packets, time_base)
        ticks = np.unique(np.frombuffer(packets.ticks, dtype=np.int64)) - start
        # What lies before the first key frame cannot be decoded, and no player shows it.
        ticks = ticks[ticks >= packets.first_key - start]
        step = _usual_step(ticks, packets.usual_duration, stream)
        width, height = _upright_size(stream, rotation)
        return VideoFacts(
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            rotation=rotation,
            time_base=time_base,
            start_ticks=start,
            ticks=ticks,
            end_tick=int(ticks[-1]) + step,
            variable_frame_rate=_is_variable(ticks, step),
            promised_s=_broken_promise(container, packets.last_end_s, start * time_base),
            title=container.metadata.get("title") or None,
            chapters=tuple(_chapters(container)),
        )


def read_frames(path: str, facts: VideoFacts, threads: int = 0) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode a video from start to end, once.

    A frame is intact when it was decoded without an error and everything it was predicted from was
    too: after a fault nothing counts until the next key frame. Frames that are not intact are left
    out, so that gaps in the positions tell what is missing.

    Args:
        path: the file that `facts` were read from.
        facts: what `read_facts` found.
        threads: decoding threads, 0 for one a core.

    Yields:
        (position in `facts.ticks`, frame), positions strictly increasing.
    """
    with _open(path) as container:
        stream = _picture_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        wanted = memoryview(facts.ticks)  # gives plain numbers one by one, where a list would hold all of them
        position, damaged = 0, False
        for frame in _decoded(container, stream):
            time = None if frame is None else frame.pts if frame.pts is not None else frame.dts
            if time is None or frame.is_corrupt:
                damaged = True
                continue
            tick = time - facts.start_ticks
            reached = position
            while reached < len(wanted) and wanted[reached] < tick:
                reached += 1
            if reached == len(wanted) or wanted[reached] != tick:
                continue
            damaged = (damaged or reached > position) and not frame.key_frame
            position = reached + 1
            if not damaged:
                yield reached, frame


def pick_frames(path: str, facts: VideoFacts, times_s: Sequence[float]) -> Iterator[tuple[float, np.ndarray]]:
    """The frames that a player shows at some times.

    decord is used where it can be trusted: it returns wrong frames without a word on edit lists and
    MPEG-TS, so its frame times must be those of the container, one by one. Else, and from damage on
    that ends decord, PyAV seeks, or goes on decoding when the next frame is near.

    Args:
        path: the file that `facts` were read from.
        facts: what `read_facts` found.
        times_s: rising times in seconds; one before the first frame means the first.

    Yields:
        (the frame's own time in seconds, RGB picture uint8 [h, w, 3], upright) for each time.

    Raises:
        UnreadableVideoError: a frame cannot be decoded.
    """
    shown = np.searchsorted(facts.ticks, [_last_tick(facts, time_s) for time_s in times_s], side="right") - 1
    positions = np.maximum(shown, 0).tolist()
    reader = _decord_reader(path, facts)
    pictures = (
        _pick_with_av(path, facts, positions) if reader is None else _pick_with_decord(reader, path, facts, positions))
    for position, picture in zip(positions, pictures, strict=True):
        yield facts.to_seconds(int(facts.ticks[position])), picture


def _last_tick(facts: VideoFacts, time_s: float) -> int:
    """The last tick up to a time; the microsecond takes in a tick whose seconds were rounded to a float."""
    return int((Fraction(time_s) + _MICROSECOND) // facts.time_base)


def _decord_reader(path: str, facts: VideoFacts) -> Any | None:
    """decord's reader, or None where it is not installed or sees other frames than the container holds."""
    if facts.rotation or not {"mov", "matroska"} & set(facts.container.split(",")):
        return None
    try:
        import decord
    except ImportError:
        return None
    try:
        reader = decord.VideoReader(path, num_threads=1)
        times_s = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0]
    except decord.DECORDError:
        return None
    expected_s = facts.ticks * float(facts.time_base)
    if len(times_s) != len(expected_s) or reader[0].shape != (facts.height, facts.width, 3):
        return None
    half_step = float(np.diff(expected_s).min(initial=1.0)) / 2
    # decord's zero is the stream's, ours the container's: only the distances can be compared.
    return reader if np.abs((times_s - times_s[0]) - (expected_s - expected_s[0])).max() < half_step else None


def _pick_with_decord(reader: Any, path: str, facts: VideoFacts, positions: list[int]) -> Iterator[np.ndarray]:
    from decord import DECORDError

    for number, position in enumerate(positions):
        try:
            picture = reader[position].asnumpy()
        except DECORDError:  # damage; PyAV leaves it behind
            yield from _pick_with_av(path, facts, positions[number:])
            return
        yield picture


def _pick_with_av(path: str, facts: VideoFacts, positions: list[int]) -> Iterator[np.ndarray]:
    near = int(_NEAR_S / facts.time_base)
    frames: Iterator[av.VideoFrame | None] = iter(())
    tick, picture = None, None
    for position in positions:
        wanted = int(facts.ticks[position])
        if tick is None or wanted - tick > near:
            frames = _decode_from(path, facts, wanted, near)
        if wanted != tick:
            tick, picture = _advance(frames, facts, wanted)
        yield picture


def _decode_from(path: str, facts: VideoFacts, wanted: int, near: int) -> Iterator[av.VideoFrame | None]:
    """Frames from a key frame at or before a tick on.

    Some containers (MPEG-TS) land behind what was asked for; then it is asked again from further ahead,
    in the end from the beginning, without seeking.
    """
    back = 0
    while wanted - back > near:
        frames = _decode_after_seek(path, wanted - back + facts.start_ticks)
        first = next((frame for frame in frames if frame is not None), None)
        if first is not None and first.pts is not None and first.pts - facts.start_ticks <= wanted:
            return itertools.chain([first], frames)
        back = back * 2 or near
    return _decode_after_seek(path, None)


def _decode_after_seek(path: str, tick: int | None) -> Iterator[av.VideoFrame | None]:
    with _open(path) as container:
        stream = _picture_stream(container)
        stream.thread_type = "AUTO"
        if tick is not None:
            container.seek(tick, stream=stream)
        yield from _decoded(container, stream)


def _advance(frames: Iterator[av.VideoFrame | None], facts: VideoFacts, wanted: int) -> tuple[int, np.ndarray]:
    for frame in frames:
        if frame is not None and frame.pts is not None and frame.pts - facts.start_ticks >= wanted:
            picture = np.rot90(frame.to_ndarray(format="rgb24"), facts.rotation // 90)
            return frame.pts - facts.start_ticks, np.ascontiguousarray(picture)
    raise UnreadableVideoError(
        Reason.UNREADABLE, f"the frame at {facts.to_seconds(wanted):.3f} s cannot be decoded")


def _open(path: str) -> av.container.InputContainer:
    # PyAV's logging stays off, as it is by default: av.logging.set_level installs a callback that takes the
    # interpreter's lock in FFmpeg's threads, and closing a container then waits for them for ever.
    try:
        # This file only: nothing inside it may make FFmpeg open another file or address.
        return av.open(
            path, metadata_errors="replace",  # a title in Latin-1 is no reason to do without the film
            options={"protocol_whitelist": "file", "format_whitelist": _FORMATS})
    except av.FFmpegError as error:
        raise UnreadableVideoError(Reason.NOT_A_VIDEO, f"FFmpeg cannot open it: {_message(error)}") from error


def _message(error: Exception) -> str:
    """FFmpeg's words without the path of the file, which has no place in the data."""
    return (getattr(error, "strerror", None) or type(error).__name__).strip()


def _picture_stream(container: av.container.InputContainer) -> Any:
    for stream in container.streams.video:
        is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        if not is_cover and stream.codec_context is not None:
            stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}  # the size may change in mid-stream
            return stream
    raise UnreadableVideoError(Reason.NO_PICTURE, "it has no video stream (sound or cover pictures only)")


def _packets(container: av.container.InputContainer, *streams: Any) -> Iterator[av.Packet]:
    """Packets up to the first flush packet.

    Stopping there matters: when damage makes a new stream appear in mid-file, PyAV's own flush asks
    for a stream it does not know and raises IndexError.
    """
    try:
        for packet in container.demux(*streams):
            if packet.size == 0 and packet.pts is None and packet.dts is None:
                return
            yield packet
    except av.FFmpegError:
        # The container breaks off here. What was read so far is whole; the clips that lack frames
        # are found by counting.
        return


def _scan_packets(container: av.container.InputContainer, picture: Any) -> _Packets:
    found = _Packets(ticks=array("q"), usual_duration=0, first_key=None, starts={}, last_end_s=Fraction(0))
    audio = [stream for stream in container.streams.audio if stream.codec_context is not None]
    bases = {stream.index: Fraction(stream.time_base) for stream in (picture, *audio)}
    ends: dict[int, int] = {}
    for packet in _packets(container, picture, *audio):
        tick = packet.pts if packet.pts is not None else packet.dts
        if tick is None or not _is_believable(packet):
            continue
        index = packet.stream_index
        if index == picture.index and packet.is_keyframe and found.first_key is None:
            found.first_key = tick  # even one that an edit list hides: what follows is predicted from it
        if packet.is_discard:
            continue
        ends[index] = max(ends.get(index, tick), tick + (packet.duration or 0))
        if index != picture.index:
            found.starts.setdefault(index, tick * bases[index])
        elif found.first_key is not None and _is_shown(packet, picture):
            found.ticks.append(tick)
            if len(found.ticks) > _MOST_FRAMES:
                raise UnreadableVideoError(Reason.TOO_LONG, f"it holds more than {_MOST_FRAMES} frames")
            found.usual_duration = found.usual_duration or packet.duration or 0
    found.last_end_s = max((end * bases[index] for index, end in ends.items()), default=Fraction(0))
    if found.ticks:
        found.starts[picture.index] = min(found.ticks) * bases[picture.index]
    return found


def _is_believable(packet: av.Packet) -> bool:
    """Whether a frame is to be shown within seconds of being decoded; damage makes times that are not."""
    if packet.pts is None or packet.dts is None:
        return True
    return abs(packet.pts - packet.dts) * packet.time_base < _LONGEST_REORDERING_S


def _is_shown(packet: av.Packet, stream: Any) -> bool:
    """VP8 alone stores pictures that are only predicted from, in packets of their own (RFC 6386, 9.1)."""
    return stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & 0x10)


def _container_start(container: av.container.InputContainer, packets: _Packets, time_base: Fraction) -> int:
    """The earliest start of sound and picture, in ticks of the picture.

    The streams' own start times come first (they leave out the priming samples of AAC), then what the
    packets said.
    """
    starts = [
        stream.start_time * Fraction(stream.time_base) if stream.start_time is not None else first
        for index, first in packets.starts.items() for stream in [container.streams[index]]
    ]
    return int(min(starts) // time_base)


def _usual_step(ticks: np.ndarray, packet_duration: int, stream: Any) -> int:
    """The usual distance between two frames, which is also how long the last one is shown."""
    if len(ticks) > 1:
        return int(np.median(np.diff(ticks)))
    rate = stream.guessed_rate or stream.average_rate
    return packet_duration or (max(1, int(1 / (Fraction(rate) * Fraction(stream.time_base)))) if rate else 1)


def _is_variable(ticks: np.ndarray, step: int) -> bool:
    if len(ticks) < 3:
        return False
    tolerance = max(1, int(step * _USUAL_STEP_TOLERANCE))
    unusual = np.abs(np.diff(ticks) - step) > tolerance
    return bool(unusual.mean() > _VARIABLE_FROM_SHARE)


def _rotation(path: str) -> int:
    """Degrees counter-clockwise to turn the stored picture by; decodes the first frame to learn it."""
    with _open(path) as container:
        for frame in _decoded(container, _picture_stream(container)):
            if frame is not None:
                return frame.rotation % 360
    raise UnreadableVideoError(Reason.UNREADABLE, "not one frame of its picture stream can be decoded")


def _decoded(container: av.container.InputContainer, stream: Any) -> Iterator[av.VideoFrame | None]:
    """Frames in presentation order; None where the decoder met data it could not use."""
    for packet in _packets(container, stream):
        try:
            yield from stream.codec_context.decode(packet)
        except av.FFmpegError:
            yield None
    try:
        yield from stream.codec_context.decode(None)
    except av.FFmpegError:
        yield None


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise UnreadableVideoError(Reason.UNREADABLE, "its header names no size of the picture")
    if width * height > _MOST_PIXELS:
        raise UnreadableVideoError(
            Reason.TOO_MANY_PIXELS, f"{width} × {height}, more than {_MOST_PIXELS // 1_000_000} million pixels")


def _upright_size(stream: Any, rotation: int) -> tuple[int, int]:
    """Width and height in square pixels, as a player shows them."""
    context = stream.codec_context
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    width, height = max(1, round(context.width * aspect)), context.height
    return (height, width) if rotation % 180 else (width, height)


def _broken_promise(
    container: av.container.InputContainer, last_end_s: Fraction, start_s: Fraction
) -> float | None:
    """The end that the header promises, in seconds from the start, when what is there falls short of it.

    Only formats that write a duration down are asked; for others FFmpeg guesses it from the size. MP4
    counts it from the first frame, Matroska from zero.
    """
    formats = set(container.format.name.split(","))
    if container.duration is None or not formats & {"mov", "matroska"}:
        return None
    promised_s = container.duration / av.time_base - (float(start_s) if "matroska" in formats else 0.0)
    return promised_s if promised_s - float(last_end_s - start_s) > _PROMISE_TOLERANCE_S else None


def _chapters(container: av.container.InputContainer) -> Iterator[tuple[float, float, str | None]]:
    start_s = (container.start_time or 0) / av.time_base
    for chapter in container.chapters():
        base = Fraction(chapter["time_base"])
        title = chapter["metadata"].get("title")
        yield float(chapter["start"] * base) - start_s, float(chapter["end"] * base) - start_s, title
