"""A generated 720p video whose frames carry their number, and what clips of it show."""

from collections.abc import Sequence
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from cost import run

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PICTURES = ("testsrc2", "mandelbrot", "gradients=speed=0.02", "cellauto", "smptehdbars", "life=mold=10")
FPS, CLIP_SECONDS, LAST_SECONDS = 24, 14, 2
_BITS, _BOX = 12, 24
_COUNTED = 60 * FPS
"""The number begins anew every minute, which is stored again and again."""


def generate(folder: Path, minutes: int) -> Path:
    """A video at 24 frames a second: a scene every ten seconds, with noise, H.264, a key frame every 5 s."""
    path, minute = folder / f"{minutes}-minutes.mp4", folder / "minute.mp4"
    if not minute.exists():
        sources = [f"{picture}{':' if '=' in picture else '='}size=1280x720:rate={FPS}" for picture in PICTURES]
        inputs = [part for source in sources for part in ("-f", "lavfi", "-t", "10", "-i", source)]
        noisy = "".join(f"[{i}:v]format=yuv420p,noise=alls=2:allf=t[v{i}];" for i in range(len(sources)))
        joined = "".join(f"[v{i}]" for i in range(len(sources))) + f"concat=n={len(sources)}:v=1"
        run(FFMPEG, "-v", "error", "-y", *inputs, "-filter_complex", f"{noisy}{joined},{_counter()}[v]", "-map", "[v]",
            "-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-g", "120", "-pix_fmt", "yuv420p", minute)
    run(FFMPEG, "-v", "error", "-y", "-stream_loop", str(minutes - 1), "-i", minute, "-c", "copy", path)
    return path


def windows(frames: int) -> list[range]:
    """The frames of each clip of a video of so many."""
    step = CLIP_SECONDS * FPS
    return [range(first, min(first + step, frames)) for first in range(0, frames, step)
            if frames - first >= LAST_SECONDS * FPS]


def wrong_frames(clips: Sequence[Path], frames: int) -> int:
    """Frames that a clip shows and should not, or should and does not, or shows at another place than its own."""
    expected = windows(frames)
    wrong = sum(len(window) for window in expected[len(clips):])
    for number, clip in enumerate(clips):
        window = [frame % _COUNTED for frame in expected[number]] if number < len(expected) else []
        shown = _numbers(clip)
        wrong += sum(one != other for one, other in zip(shown, window, strict=False)) + abs(len(shown) - len(window))
    return wrong


def _counter() -> str:
    boxes = [f"drawbox=x={bit * _BOX}:y=0:w={_BOX}:h={_BOX}:c=white:t=fill:enable='mod(floor(n/{2 ** bit}),2)'"
             for bit in range(_BITS)]
    return ",".join([f"drawbox=x=0:y=0:w={_BITS * _BOX}:h={_BOX}:c=black:t=fill", *boxes])


def _numbers(clip: Path) -> list[int]:
    with av.open(str(clip)) as container:
        return [_number(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]


def _number(gray: np.ndarray) -> int:
    middles = [gray[_BOX // 3:-(-2 * _BOX // 3), bit * _BOX + _BOX // 3:bit * _BOX + 2 * _BOX // 3].mean()
               for bit in range(_BITS)]
    return sum(1 << bit for bit, light in enumerate(middles) if light > 127)
