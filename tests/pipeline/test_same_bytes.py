"""The same input gives the same bytes: run twice, by more workers, or killed half way and started again."""

import os
import signal
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.sample_videos import sample_script, write_captions, write_video
from tests.builds import COMMAND, built, clean_environment, data_bytes, journal, rows, running

STAGES = ("probe", "decode", "captions", "clues", "questions")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three short videos with their captions in one file."""
    folder = tmp_path_factory.mktemp("videos")
    with (folder / "said.jsonl").open("w") as said:
        for seed in range(3):
            script = replace(sample_script(seed, 60), width=320, height=180)
            write_video(script, folder / f"film-{seed}.mp4")
            write_captions(script, folder / "one.jsonl", f"film-{seed}.mp4")
            said.write((folder / "one.jsonl").read_text())
    (folder / "one.jsonl").unlink()
    return folder


def _choices(videos: Path, out: Path, workers: int) -> list[str]:
    """One bucket holds all, so that the order of the videos inside a shard is tested too."""
    return [str(videos), "--out", str(out), "--captioner", "file", "--captions", str(videos / "said.jsonl"),
            "--workers", str(workers), "--buckets", "1"]


@pytest.fixture(scope="module")
def first(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first") / "out"
    built(*_choices(videos, out, workers=1))
    return out


def _outputs(out: Path) -> dict[str, bytes]:
    return data_bytes(out) | {
        name: (out / name).read_bytes() for name in ("manifest.json", "README.md", "views.sql")}


def test_there_is_something_to_compare(first: Path) -> None:
    assert len(rows(first, "videos")) == 3
    assert len(rows(first, "samples")) >= 10
    done = Counter((line["stage"], line["item"]) for line in journal(first) if line["event"] == "done")
    assert [key for stage in STAGES for key in [(stage, f"film-{n}.mp4") for n in range(3)] if done[key] != 1] == []


def test_another_run_elsewhere_with_more_workers_gives_the_same_bytes(
    videos: Path, first: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a folder with another name"
    built(*_choices(videos, out, workers=3))
    assert _outputs(out) == _outputs(first)


def test_a_run_that_is_killed_goes_on_where_it_was(videos: Path, first: Path, tmp_path: Path) -> None:
    """SIGKILL when the first video is through and the last is not; nothing may outlive it."""
    out = tmp_path / "out"
    run = subprocess.Popen(
        [COMMAND, *_choices(videos, out, workers=1)], env=clean_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _wait_until_half_done(out, run)
        assert len(running(run.pid)) >= 3  # the command, its server and its decoder
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.stderr.close()
    _check_nothing_runs(run.pid)
    assert not (out / "manifest.json").exists()
    assert not (out / "data").exists()

    built(*_choices(videos, out, workers=2))
    assert _outputs(out) == _outputs(first)
    done = Counter((line["stage"], line["key"]) for line in journal(out) if line["event"] == "done" and "key" in line)
    assert max(done.values()) == 1
    assert len(done) == len(STAGES) * 3
    reused = {line["item"] for line in journal(out) if line["event"] == "reused" and line["stage"] == "questions"}
    assert {"film-0.mp4"} <= reused <= {"film-0.mp4", "film-1.mp4"}


def _wait_until_half_done(out: Path, run: subprocess.Popen) -> None:
    deadline = time.monotonic() + 150
    while True:
        told = {(line["event"], line["stage"], line["item"]) for line in journal(out)}
        if ("done", "questions", "film-0.mp4") in told:
            assert ("done", "questions", "film-2.mp4") not in told, "too late: the machine is too fast for this test"
            return
        assert run.poll() is None, run.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _check_nothing_runs(session: int) -> None:
    deadline = time.monotonic() + 20
    while running(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(session) == []
