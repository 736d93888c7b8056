"""Videos with bytes flipped, boxes cut and headers that lie, the same ones from the same seed."""

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np

_FORMS = {
    "h264.mp4": ["-c:v", "libx264", "-g", "25"],
    "fragments.mp4": ["-c:v", "libx264", "-g", "25", "-movflags", "frag_keyframe+empty_moov"],
    "mpeg4.avi": ["-c:v", "mpeg4"],
    "h264.ts": ["-c:v", "libx264", "-g", "25"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
    "h264.mkv": ["-c:v", "libx264", "-g", "25"],
    "flv1.flv": ["-c:v", "flv1"],
    "mpeg2.mpg": ["-c:v", "mpeg2video"],
    "hevc.mp4": ["-c:v", "libx265", "-x265-params", "log-level=none"],
}
_EXTREMES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0\0\0\1", b"\0\1\0\0")


def write_originals(folder: Path) -> list[Path]:
    """Four seconds of a moving picture in many formats."""
    for name, coding in _FORMS.items():
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25",
             "-t", "4", *coding, str(folder / name)], check=True, stdin=subprocess.DEVNULL)
    return [folder / name for name in _FORMS]


def mutated(data: bytes, seed: int) -> bytes:
    """One of seven kinds of harm, chosen and placed by the seed."""
    rng = np.random.default_rng(seed)
    harm = (_flip, _flip_in_head, _cut_end, _cut_piece, _repeat_piece, _extreme_number, _lie_in_box)[seed % 7]
    return harm(bytearray(data), rng)


def _flip(data: bytearray, rng: np.random.Generator) -> bytes:
    for at in rng.integers(0, len(data), rng.integers(1, 200)):
        data[at] = rng.integers(0, 256)
    return bytes(data)


def _flip_in_head(data: bytearray, rng: np.random.Generator) -> bytes:
    """Where containers say what follows; an MP4 says it at the end."""
    ends = [range(min(2000, len(data))), range(max(0, len(data) - 4000), len(data))]
    for at in rng.choice(ends[rng.integers(0, 2)], rng.integers(1, 30)):
        data[at] = rng.integers(0, 256)
    return bytes(data)


def _cut_end(data: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(data[: rng.integers(1, len(data))])


def _cut_piece(data: bytearray, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(0, len(data)))
    return bytes(data[:at] + data[at + int(rng.integers(1, 5000)):])


def _repeat_piece(data: bytearray, rng: np.random.Generator) -> bytes:
    at, size = int(rng.integers(0, len(data))), int(rng.integers(1, 5000))
    return bytes(data[:at] + data[at:at + size] * int(rng.integers(2, 20)) + data[at:])


def _extreme_number(data: bytearray, rng: np.random.Generator) -> bytes:
    """The largest and smallest numbers in places where a size or a count may stand."""
    for at in rng.integers(0, max(1, len(data) - 4), rng.integers(1, 10)):
        data[at:at + 4] = _EXTREMES[rng.integers(0, len(_EXTREMES))]
    return bytes(data)


def _lie_in_box(data: bytearray, rng: np.random.Generator) -> bytes:
    """A field of an MP4 box, or of any file its first kilobytes, holds another number."""
    places = list(_fields(bytes(data))) or list(range(0, min(4000, len(data) - 4), 4))
    for at in rng.choice(places, min(len(places), int(rng.integers(1, 6)))):
        value = int(rng.choice([0, 1, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, rng.integers(0, 1 << 32)]))
        data[at:at + 4] = struct.pack(">I", value)
    return bytes(data)


def _fields(data: bytes) -> Iterator[int]:
    for box in (b"mvhd", b"tkhd", b"mdhd", b"stsz", b"stts", b"ctts", b"stsc", b"stco", b"elst", b"avc1", b"hvc1",
                b"trun", b"tfhd", b"avcC"):
        at = data.find(box)
        if at >= 0:
            yield from range(at - 4, min(at + 100, len(data) - 4), 4)
