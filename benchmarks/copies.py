"""Whether a film on the list of known test videos is found in another form: cut at its edges, scaled, encoded again, …

    python -m benchmarks.copies FILM.mp4 --seconds 120

Writes copies of the beginning of a film with PyAV (H.264), decodes them as a build does, and prints for each the share
of pictures that are known, and whether that is enough to leave it out; last the part of the film after it, which is
no copy.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.exclusion import Exclusion, fingerprint_lines, read_exclusion
from schemas.records import Source

_FPS = 4
_SETTINGS = DecodeSettings(
    clip_seconds=14, min_last_clip_seconds=0, max_hours=24, caption_frames=1, caption_frame_side=64, frame_side=32,
    jpeg_quality=30)
Change = Callable[[np.ndarray], np.ndarray]
"""Of a picture, uint8 [h, w, 3]."""


def _cropped(share: float) -> Change:
    """So much of width and height is cut away, half of it on each side."""
    def change(rgb: np.ndarray) -> np.ndarray:
        top, left = (round(side * share / 2) for side in rgb.shape[:2])
        return rgb[top:rgb.shape[0] - top, left:rgb.shape[1] - left]

    return change


def _barred(above: float, beside: float) -> Change:
    """Black bars, as shares of height and width, on each side."""
    def change(rgb: np.ndarray) -> np.ndarray:
        high, wide = round(rgb.shape[0] * above), round(rgb.shape[1] * beside)
        return np.pad(rgb, ((high, high), (wide, wide), (0, 0)))

    return change


def _with_logo(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    rgb[height // 20: height // 7, -width // 6: -width // 30] = 255
    return rgb


def _subtitled(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    cv2.putText(rgb, "words at the lower edge", (width // 5, height - height // 12), cv2.FONT_HERSHEY_DUPLEX,
                width / 640, (255, 255, 255), max(1, width // 320))
    return rgb


def _graded(rgb: np.ndarray) -> np.ndarray:
    return (255 * (rgb / 255) ** 0.6 * np.array([1.0, 0.95, 0.8])).astype(np.uint8)


COPIES: dict[str, tuple[Change, dict[str, str], int]] = {
    "encoded again": (lambda rgb: rgb, {}, 0),
    "encoded badly (crf 40)": (lambda rgb: rgb, {"crf": "40"}, 0),
    "scaled to 160 wide": (lambda rgb: rgb, {}, 160),
    "brighter and warmer": (_graded, {}, 0),
    "with a logo": (_with_logo, {}, 0),
    "with subtitles": (_subtitled, {}, 0),
    "cropped by 5 %": (_cropped(0.05), {}, 0),
    "cropped by 10 %": (_cropped(0.1), {}, 0),
    "cropped by 20 %": (_cropped(0.2), {}, 0),
    "bars above and below (16:9 to 4:3)": (_barred(1 / 6, 0), {}, 0),
    "bars beside (16:9 in 21:9)": (_barred(0, 1 / 6), {}, 0),
    "mirrored": (lambda rgb: rgb[:, ::-1], {}, 0),
}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--seconds", type=int, default=120)
    choices = parser.parse_args()
    film, other = (list(_frames(choices.film, at, at + choices.seconds)) for at in (0, choices.seconds))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "film.mp4", film, *COPIES["encoded again"])
        lines = fingerprint_lines(folder / "film.mp4")
        plain, full = (_listed(folder, some) for some in (lines[:2], lines))
        print(f"the list takes {len(''.join(lines)) / choices.seconds:.0f} bytes a second of film")
        print(f"{'':36} known by its own pictures, by those of copies too")
        for what, how in COPIES.items():
            _write(folder / "copy.mp4", film, *how)
            _judge(what, folder / "copy.mp4", plain, full)
        _write(folder / "copy.mp4", other, *COPIES["encoded again"])
        _judge("another film", folder / "copy.mp4", plain, full)


def _listed(folder: Path, lines: Sequence[str]) -> Exclusion:
    (folder / "list.txt").write_text("".join(f"{line}\n" for line in lines))
    return read_exclusion([folder / "list.txt"])


def _judge(what: str, copy: Path, *lists: Exclusion) -> None:
    with tempfile.TemporaryDirectory() as product:
        decode_video(
            lambda share: None, Source(path=str(copy), source="copy.mp4"), "0" * 32, _SETTINGS, 1, Path(product))
        found = [f"{one.shown(Path(product)):5.0%} {'found' if one.match_pictures(Path(product)) else 'not found'}"
                 for one in lists]
    print(f"{what:36} {'   '.join(found)}", flush=True)


def _frames(film: Path, start_s: float, end_s: float) -> Iterator[np.ndarray]:
    """Pictures of a stretch at a fixed rate, uint8 [h, w, 3]."""
    wanted_s = Fraction(start_s)
    with av.open(str(film)) as container:
        container.seek(int(start_s * av.time_base))
        for frame in container.decode(video=0):
            while frame.time >= wanted_s and wanted_s < end_s:
                yield frame.to_ndarray(format="rgb24")
                wanted_s += Fraction(1, _FPS)
            if wanted_s >= end_s:
                return


def _write(path: Path, frames: Iterable[np.ndarray], change: Change, options: dict[str, str], width: int) -> None:
    with av.open(str(path), "w") as container:
        stream = None
        for rgb in frames:
            changed = change(rgb.copy())
            if width:
                changed = cv2.resize(changed, (width, 2 * round(width * rgb.shape[0] / rgb.shape[1] / 2)))
            changed = np.ascontiguousarray(changed[: changed.shape[0] // 2 * 2, : changed.shape[1] // 2 * 2])
            if stream is None:
                stream = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast"} | options)
                stream.height, stream.width, stream.pix_fmt = *changed.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(changed, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
