"""Files that are damaged, cut off, turned, or no videos at all, made from a good numbered video."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from PIL import Image

from tests.numbered_videos import Shown, numbered_picture, write_numbered

FRAMES = 750
"""30 s: two clips of 14 s and one of 2 s."""
_TS_PACKET = 188


def write_odd_files(folder: Path) -> list[Shown]:
    """Write one file of each kind; returns what the good one shows and when."""
    good = folder / "good.mp4"
    truth = write_numbered(good, "constant", FRAMES, 320, 180)
    data = good.read_bytes()
    noise = np.random.default_rng(0).bytes(50_000)
    (folder / "empty.mp4").touch()
    (folder / "noise.mp4").write_bytes(noise)
    (folder / "text.mp4").write_text("not a video\n")
    (folder / "no_index.mp4").write_bytes(data[: len(data) // 2])  # the index is written last
    (folder / "overwritten.mp4").write_bytes(overwritten(data, len(data) // 2, noise[:3000]))
    Image.fromarray(numbered_picture(1)).save(folder / "picture.mp4", "PNG")
    _ffmpeg("-i", good, "-c", "copy", "-movflags", "faststart", folder / "whole.mp4")
    whole = folder.joinpath("whole.mp4").read_bytes()
    (folder / "cut_off.mp4").write_bytes(whole[: len(whole) * 3 // 5])
    (folder / "whole.mp4").unlink()
    _ffmpeg("-display_rotation", "90", "-i", good, "-c", "copy", folder / "turned.mp4")
    write_numbered(folder / "blink.mp4", "constant", 25, 320, 180)
    write_numbered(folder / "short.mp4", "constant", 150, 320, 180)
    _write_lost_packets(folder / "lost_packets.ts")
    _write_sound(folder / "sound.m4a")
    return truth


def overwritten(data: bytes, at: int, by: bytes) -> bytes:
    """The data with some bytes of it replaced."""
    return data[:at] + by + data[at + len(by):]


def write_latin_titles(video: Path, to: Path) -> None:
    """The video with "Café" in Latin-1, which no format allows, as its title and as that of a chapter."""
    titles = to.with_suffix(".txt")
    titles.write_text(";FFMETADATA1\ntitle=Caf#\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\ntitle=Caf#\n")
    _ffmpeg("-i", video, "-i", titles, "-map_metadata", "1", "-c", "copy", to)
    titles.unlink()
    to.write_bytes(to.read_bytes().replace(b"Caf#", b"Caf\xe9"))


def upright_by_ffmpeg(video: Path, to: Path) -> Image.Image:
    """The first picture as FFmpeg's own player logic turns it."""
    _ffmpeg("-i", video, "-frames:v", "1", to)
    return Image.open(to).convert("RGB")


def _write_lost_packets(path: Path) -> None:
    """A transmission that broke off for a while: packets 60 % to 65 % never arrived."""
    write_numbered(path, "plain_ts", FRAMES, 320, 180)
    data = path.read_bytes()
    count = len(data) // _TS_PACKET
    first, last = (_TS_PACKET * (count * share // 100) for share in (60, 65))
    path.write_bytes(data[:first] + data[last:])


def _write_sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        for piece in range(50):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), piece * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True,
        stdin=subprocess.DEVNULL)
