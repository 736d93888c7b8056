"""Videos that are not worth asking about, drawn by FFmpeg; and copies of one film in other files."""

import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from pipeline.captions import open_decoded
from pipeline.decode import UnreadableVideoError
from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.quality_gates import find_fault
from pipeline.same_pictures import find_same_pictures
from schemas.reasons import Reason
from schemas.records import Source
from schemas.source_choices import SourceChoices

SETTINGS = DecodeSettings(
    clip_seconds=7, min_last_clip_seconds=2, max_hours=24, caption_frames=2, caption_frame_side=64, frame_side=64,
    jpeg_quality=80)
MOVING = "testsrc2=size=320x180:rate=25"
SLIDES = "".join(
    f"color=0x{colour}:size=320x180:rate=25:duration=5,drawbox=x={x}:y=30:w=60:h=90:t=fill:color=white[s{x}];"
    for x, colour in ((10, "204080"), (90, "804020"), (170, "208040"), (250, "606060")))


def _ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True,
        stdin=subprocess.DEVNULL)


def _draw(path: Path, graph: str, seconds: int = 21) -> None:
    _ffmpeg("-f", "lavfi", "-i", graph, "-t", str(seconds), "-pix_fmt", "yuv420p", path)


def _decode(path: Path, folder: Path) -> Path:
    product = folder / f"{path.stem}-product"
    product.mkdir()
    decode_video(lambda share: None, Source(path=str(path), source=path.name), path.stem, SETTINGS, 2, product)
    return product


@pytest.mark.parametrize(("graph", "choices", "reason"), [
    (MOVING, {}, None),
    (MOVING, {"min_seconds": 30}, Reason.TOO_SHORT),
    (MOVING, {"min_side": 240}, Reason.TOO_SMALL),
    ("color=black:size=320x180:rate=25", {}, Reason.MOSTLY_BLACK),
    ("color=black:size=320x180:rate=25,noise=alls=3:allf=t", {}, Reason.MOSTLY_BLACK),
    (f"{MOVING},fade=in:350:25", {}, Reason.MOSTLY_BLACK),
    (f"{MOVING},fade=in:150:25", {}, None),
    (f"{MOVING},trim=end_frame=1,loop=-1:1", {}, Reason.STANDS_STILL),
    (f"{MOVING},trim=end_frame=1,loop=-1:1,noise=alls=2:allf=t", {}, Reason.STANDS_STILL),
    (f"{SLIDES}[s10][s90][s170][s250]concat=n=4", {}, Reason.SLIDESHOW),
    ("mandelbrot=size=320x180:rate=25", {}, None),
])
def test_what_is_no_film_is_left_out(
    tmp_path: Path, graph: str, choices: dict[str, Any], reason: Reason | None
) -> None:
    _draw(tmp_path / "video.mp4", graph, 20)
    product = _decode(tmp_path / "video.mp4", tmp_path)
    fault = find_fault(open_decoded(product).video, product, SourceChoices(**choices))
    assert (fault and fault.reason) == reason, fault


def test_a_picture_too_large_is_left_out_before_it_is_decoded(tmp_path: Path) -> None:
    _draw(tmp_path / "huge.mp4", "color=red:size=8000x5000:rate=1", 1)
    with pytest.raises(UnreadableVideoError) as caught:
        _decode(tmp_path / "huge.mp4", tmp_path)
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


def test_the_same_film_in_another_file_is_found(tmp_path: Path) -> None:
    _draw(tmp_path / "film1.mp4", "mandelbrot=size=640x360:rate=10", 30)
    _draw(tmp_path / "film2.mp4", "mandelbrot=size=640x360:rate=10:start_x=-0.1:start_y=-0.9", 30)
    _ffmpeg("-i", tmp_path / "film1.mp4", "-vf", "scale=320:-2", "-crf", "30", tmp_path / "film3.mkv")
    products = {path.stem: _decode(path, tmp_path) for path in sorted(tmp_path.glob("film*.m*"))}
    assert find_same_pictures(products) == {"film3": "film1"}
    assert find_same_pictures(dict(reversed(products.items()))) == {"film3": "film1"}
