"""How the peers of `throughput.py` are run, each in an environment of its own where its pins ask for one."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cost import Cost, run
from counted_video import FFMPEG, FPS, windows

from flows.pinned_environment import pinned_python

_HERE = Path(__file__).parent
_AT_ONCE = 16
"""Clips that NeMo Curator and cosmos-curate cut in one call of ffmpeg."""


@dataclass(frozen=True)
class Task:
    """What is to be cut."""

    video: Path
    frames: int
    folder: Path
    """A new folder for the clips."""


Cutter = Callable[[Task], Cost]


def data_juicer(backend: str) -> Cutter:
    """Its op; without the start of Python and its imports, some three seconds."""
    def cut(task: Task) -> Cost:
        python = pinned_python("data-juicer", _HERE.parent / "requirements" / "data-juicer.txt")
        return _of_script(python, "peer_data_juicer.py", task, backend)

    return cut


def video2dataset(precision: str) -> Cutter:
    """Its clipping; without the start of Python."""
    def cut(task: Task) -> Cost:
        python = pinned_python("video2dataset", _HERE.parent / "requirements" / "video2dataset.txt", alone=True)
        return _of_script(python, "peer_video2dataset.py", task, precision, str(task.frames / FPS))

    return cut


def curator_command(task: Task) -> Cost:
    """The command that NeMo Curator and cosmos-curate give ffmpeg, by their sources; without their frameworks."""
    task.folder.mkdir()
    spans, total = windows(task.frames), Cost(0.0, 0.0, 0.0)
    for first in range(0, len(spans), _AT_ONCE):
        some = list(enumerate(spans))[first:first + _AT_ONCE]
        inputs = [part for _, span in some for part in (
            "-threads", "1", "-ss", str(span.start / FPS), "-to", str(span.stop / FPS), "-i", str(task.video))]
        outputs = [part for at, (number, _) in enumerate(some) for part in (
            "-threads", "1", "-map", f"{at}:v:0", "-c:v", "libopenh264", "-b:v", "4M",
            str(task.folder / f"clip_{number:06d}.mp4"))]
        cost = run(FFMPEG, "-v", "error", *inputs, *outputs)
        total = Cost(total.wall_s + cost.wall_s, total.cpu_s + cost.cpu_s, max(total.peak_mb, cost.peak_mb))
    return total


def segment_command(task: Task) -> Cost:
    """ffmpeg's segment muxer behind the quickest x264, a key frame forced at every cut."""
    task.folder.mkdir()
    times = ",".join(str(span.start / FPS) for span in windows(task.frames)[1:])
    return run(FFMPEG, "-v", "error", "-threads", "1", "-i", task.video, "-threads", "1", "-c:v", "libx264", "-preset",
               "ultrafast", "-crf", "23", "-force_key_frames", times, "-f", "segment", "-segment_times", times,
               "-reset_timestamps", "1", task.folder / "clip_%06d.mp4")


CUTTERS: dict[str, Cutter] = {
    "ffmpeg segment, x264 ultrafast": segment_command,
    "NeMo/cosmos command, libopenh264": curator_command,
    "video2dataset exact": video2dataset("exact"),
    "video2dataset low (copies)": video2dataset("low"),
    "Data-Juicer av": data_juicer("av"),
    "Data-Juicer ffmpeg (copies)": data_juicer("ffmpeg"),
}


def scenedetect(video: Path, folder: Path) -> Cost:
    """The command of PySceneDetect, which reads every frame for its shots; with the start of Python, about a second."""
    return run(Path(sys.executable).with_name("scenedetect"), "-i", video, "-o", folder, "detect-content",
               "list-scenes")


def ffmpeg_pictures(video: Path, folder: Path) -> Cost:
    """One picture a second by ffmpeg alone, as large as the frames that a build stores."""
    folder.mkdir()
    return run(FFMPEG, "-v", "error", "-threads", "1", "-i", video, "-vf", "fps=1,scale=-2:336", "-q:v", "3",
               folder / "%06d.jpg")


def _of_script(python: Path, script: str, task: Task, *arguments: str) -> Cost:
    """Run a peer's script, which says itself what its work took, with the benchmark's ffmpeg as `ffmpeg`."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "ffmpeg").symlink_to(FFMPEG)
        env = os.environ | {"PATH": f"{name}{os.pathsep}{os.environ['PATH']}"}
        cost = Path(name) / "cost.json"
        whole = run(python, _HERE / script, task.video, task.folder, cost, *arguments, env=env)
        own = json.loads(cost.read_text())
    return Cost(own["wall_s"], own["cpu_s"], whole.peak_mb)
