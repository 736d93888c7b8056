"""What tests that kill builds share: tiny videos, choices that ask a fault server, processes, what must come out."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.sample_videos import sample_script, write_video
from tests.builds import clean_environment, data_bytes, running

VIDEOS = 3
CONFIG = {
    "captioner": "served", "orderer": "served", "caption_model": "m", "shuffled_share": 1, "caption_frames": 2,
    "clip_seconds": 4, "buckets": 4, "request_seconds": 5, "picture_questions": 0, "blind": "built-in"}
"""Choices of a build; the fault server knows captions and orders only."""
_ROOT = Path(__file__).parents[1]


def as_flags(config: dict[str, object]) -> list[str]:
    """Choices as a command line."""
    return [word for name, value in config.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def tiny_videos(folder: Path) -> Path:
    """Videos of five clips each."""
    folder.mkdir(exist_ok=True)
    for seed in range(VIDEOS):
        write_video(replace(sample_script(seed=seed, duration_s=20), width=160, height=90), folder / f"{seed}.mp4")
    return folder


def stages_command(videos: Path, out: Path, url: str) -> list[str]:
    """The stages and the gathering of shards, in a process without Prefect, which would take most of the time."""
    return [sys.executable, "-m", "tests.stages", str(videos), str(out), url]


def outputs(out: Path) -> dict[str, object]:
    """All that a reader sees, but for the seconds that the model server happened to take."""
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for row in manifest["served"]["usage"]:
        del row["seconds"]
    return data_bytes(out) | {"views.sql": (out / "views.sql").read_bytes(), "manifest.json": manifest}


def start(*command: str | os.PathLike[str], **more: str) -> subprocess.Popen:
    """A process with a session of its own."""
    return subprocess.Popen(
        [os.fspath(word) for word in command], env=clean_environment(**more), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=_ROOT)


def wait_until(process: subprocess.Popen, what: Callable[[], object], seconds: float = 300) -> None:
    """Wait until something is so, while a process runs."""
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL of the process alone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def none_left(session: int, seconds: float = 20) -> bool:
    """Whether all processes of a session end within some seconds."""
    deadline = time.monotonic() + seconds
    while running(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not running(session)
