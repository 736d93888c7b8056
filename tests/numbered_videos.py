"""Videos whose every frame shows its own number, so that a test sees which frame it was given.

The number stands in black and white boxes in a band along the top, with a checksum: a frame mixed from two,
or a picture that is none of ours, reads as None. Box centres survive JPEG and scaling down to 160 x 90.

`write_numbered` says when each frame is shown. It says so from what it wrote, never from reading back.
"""

import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import imageio_ffmpeg
import numpy as np

COLUMNS, ROWS = 16, 2
BAND = 2 / 9  # of the picture's height: square boxes at 16:9
NUMBER_BITS, CHECK_BITS = 20, 8
FRAME = (1, 0, 0, 1)  # the last boxes are always these: a black or white picture is no number
GOP = 50  # frames
CUT_S = Fraction(3)  # where `edit_list` is cut: frame 75, between two key frames


class Shown(NamedTuple):
    """A frame that a player shows; time in seconds, zero at the container's start."""

    number: int
    time: Fraction


@dataclass(frozen=True)
class Variant:
    """How a numbered video is written. Starts are presentation times in seconds."""

    suffix: str
    about: str
    rate: Fraction = Fraction(25)
    irregular: bool = False
    open_gop: bool = False
    video_start: Fraction = Fraction(0)
    audio_start: Fraction | None = None  # None: no audio
    container: tuple[tuple[str, str], ...] = ()  # options of the muxer
    cut: bool = False


VARIANTS = {
    "constant": Variant(".mp4", "The plain case: 25 fps, B-frames, closed groups of pictures."),
    "ntsc": Variant(".mp4", "Seconds fall between frames: 30000/1001 fps.", rate=Fraction(30000, 1001)),
    "variable_mp4": Variant(".mp4", "Frames 17 to 250 ms apart, with a hole of 3.5 s.", irregular=True),
    "variable_mkv": Variant(".mkv", "The same where times are in milliseconds.", irregular=True),
    "start_mp4": Variant(".mp4", "The first frame is at 5 s.", video_start=Fraction(5)),
    "start_mkv": Variant(".mkv", "The first frame is at 5 s.", video_start=Fraction(5)),
    "start_ts": Variant(".ts", "The first frame is at 5 s, and there is no index.", video_start=Fraction(5)),
    "plain_ts": Variant(
        ".ts", "A start at 1.48 s, as ffmpeg writes MPEG-TS by itself.", container=(("max_delay", "700000"),)
    ),
    "edit_list": Variant(
        ".mp4", "Cut at 3 s without encoding: 25 frames are decoded but must not be shown.", cut=True
    ),
    "open_gop": Variant(
        ".mp4", "B-frames before a key frame need the group before: seeks must not show them.", open_gop=True
    ),
    "audio_first": Variant(
        ".mp4",
        "Audio starts 0.52 s before the pictures: time zero is the audio's.",
        video_start=Fraction(13, 25),
        audio_start=Fraction(0),
    ),
    "audio_later": Variant(".mp4", "Audio starts 0.4 s after the pictures.", audio_start=Fraction(2, 5)),
    "audio_first_mkv": Variant(
        ".mkv",
        "The same as audio_first in milliseconds.",
        video_start=Fraction(13, 25),
        audio_start=Fraction(0),
    ),
}


# ---- The picture


def _bits(number: int) -> np.ndarray:
    """The boxes, row by row: 1 is white."""
    check = zlib.crc32(number.to_bytes(4, "big")) & ((1 << CHECK_BITS) - 1)
    code = number << CHECK_BITS | check
    bits = [code >> at & 1 for at in reversed(range(NUMBER_BITS + CHECK_BITS))]
    return np.array([*bits, *FRAME], dtype=np.uint8).reshape(ROWS, COLUMNS)


def numbered_picture(number: int, width: int = 640, height: int = 360) -> np.ndarray:
    """Draws the picture of this number: height x width x 3, uint8 RGB.

    Raises:
        ValueError: the number does not fit into 20 bits.
    """
    if not 0 <= number < 1 << NUMBER_BITS:
        raise ValueError(f"{number} is not a number of {NUMBER_BITS} bits")
    band = round(height * BAND)
    rows = np.arange(band) * ROWS // band
    columns = np.arange(width) * COLUMNS // width
    picture = np.empty((height, width), dtype=np.uint8)
    picture[:] = np.linspace(60, 190, width)
    picture[:band] = 255 * _bits(number)[rows][:, columns]
    return np.stack([picture] * 3, axis=2)


def read_number(rgb: np.ndarray) -> int | None:
    """Reads the number back from a picture of any size (height x width x 3, RGB), None if it shows none."""
    height, width = rgb.shape[:2]
    rows = [_middle(row, height * BAND / ROWS) for row in range(ROWS)]
    columns = [_middle(column, width / COLUMNS) for column in range(COLUMNS)]
    light = np.array([[rgb[row, column].mean() for column in columns] for row in rows])
    if ((light > 95) & (light < 160)).any():
        return None
    bits = (light > 128).astype(np.uint8)
    number = int("".join(map(str, bits.flat[:NUMBER_BITS])), 2)
    return number if np.array_equal(bits, _bits(number)) else None


def _middle(index: int, size: float) -> slice:
    """The pixels of the middle two fifths of a box, at least one."""
    first = int((index + 0.3) * size)
    return slice(first, max(first + 1, round((index + 0.7) * size)))


# ---- The file


def write_numbered(
    path: Path, variant: str, frames: int = 500, width: int = 640, height: int = 360
) -> list[Shown]:
    """Writes frames numbered from 0 (H.264) and returns those a player shows, in order.

    Raises:
        ValueError: the file's suffix is not that of the variant, or too few frames for its cut.
    """
    how = VARIANTS[variant]
    if path.suffix != how.suffix:
        raise ValueError(f"{variant} is a {how.suffix} file, not {path.name}")
    times = _times(how, frames)
    if not how.cut:
        _write(path, how, times, width, height)
        start = how.video_start if how.audio_start is None else min(how.video_start, how.audio_start)
        return [Shown(number, how.video_start + time - start) for number, time in enumerate(times)]
    if times[-1] < CUT_S:
        raise ValueError(f"{frames} frames end before the cut at {CUT_S} s")
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / f"whole{path.suffix}"
        _write(whole, how, times, width, height)
        _cut_without_encoding(whole, path)
    return [Shown(number, time - CUT_S) for number, time in enumerate(times) if time >= CUT_S]


def _times(how: Variant, frames: int) -> list[Fraction]:
    """When each frame is shown, in seconds after the first."""
    if not how.irregular:
        return [number / how.rate for number in range(frames)]
    steps_ms = (40, 17, 33, 100, 23, 250, 40, 61, 20)
    times_ms = [0]
    for number in range(1, frames):
        step = 3500 if number == frames // 3 else steps_ms[number % len(steps_ms)]
        times_ms.append(times_ms[-1] + step)
    return [Fraction(time, 1000) for time in times_ms]


def _write(path: Path, how: Variant, times: list[Fraction], width: int, height: int) -> None:
    """Encodes the frames at these times. Every time used here is whole in each container's own units."""
    unit = Fraction(1, 90000)
    group = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop={int(how.open_gop)}"
    x264 = f"{group}:bframes=3:b-pyramid=normal:threads=1:log-level=error"
    with av.open(str(path), "w", options=dict(how.container)) as container:
        options = {"preset": "ultrafast", "crf": "24", "x264-params": x264}
        video = container.add_stream("libx264", rate=how.rate, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.time_base = video.codec_context.time_base = unit
        audio = None if how.audio_start is None else container.add_stream("aac", rate=48000, layout="mono")
        sound = iter(()) if audio is None else _tone(how.audio_start, how.video_start + times[-1])
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, width, height), format="rgb24")
            frame.pts, frame.time_base = int((how.video_start + time) / unit), unit
            container.mux(video.encode(frame))
            if piece := next(sound, None):
                container.mux(audio.encode(piece))
        for piece in sound:
            container.mux(audio.encode(piece))
        for stream in filter(None, (video, audio)):
            container.mux(stream.encode(None))


def _tone(start: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
    """A soft tone in pieces of 1024 samples at 48 kHz, from start to end (seconds)."""
    rate, size = 48000, 1024
    samples = (0.1 * np.sin(np.arange(size) * (2 * np.pi * 8 / size))).astype(np.float32)[None]
    for first in range(0, int((end - start) * rate), size):
        piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
        piece.pts = int(start * rate) + first
        yield piece


def _cut_without_encoding(whole: Path, path: Path) -> None:
    """Keeps the packets from the key frame before CUT_S on; an edit list hides what comes before CUT_S."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    copy = ["-ss", str(float(CUT_S)), "-i", str(whole), "-c", "copy", str(path)]
    subprocess.run([ffmpeg, "-v", "error", "-y", *copy], check=True, stdin=subprocess.DEVNULL)
