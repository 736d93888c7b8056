"""Whatever a build is killed by, and wherever it then stands, the next one ends with the bytes of an unbroken one."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.build_status import read_status
from pipeline.no_room import is_no_room
from pipeline.work_store import WorkStore
from tests.builds import COMMAND, built, clean_environment, data_bytes, journal, rows
from tests.fault_server import FaultServer
from tests.killing import (
    CONFIG,
    VIDEOS,
    as_flags,
    kill,
    none_left,
    outputs,
    stages_command,
    start,
    tiny_videos,
    wait_until,
)

CHOICES = as_flags(CONFIG)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(delay_s=(0.02, 0.3)) as server:
        yield server


@pytest.fixture(scope="module")
def unbroken(videos: Path, server: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made without Prefect, as most outputs are finished here that were broken: in seconds."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    _finish(videos, out, server)
    return out


def _finish(videos: Path, out: Path, server: FaultServer) -> None:
    process = start(*stages_command(videos, out, server.url))
    words = process.communicate(timeout=300)[1]
    assert process.returncode == 0, words


def test_killed_at_random_moments(
    videos: Path, server: FaultServer, unbroken: Path, tmp_path: Path, long_tests: bool
) -> None:
    """The stages and the gathering of shards, without Prefect; moments are spread over what an unbroken run takes.

    After four kills each output is finished and compared, and the next one begun, as there is little to kill when all
    is done.
    """
    kills, dice = (50 if long_tests else 6), random.Random(9)
    timed = start(*stages_command(videos, tmp_path / "timed", server.url))
    began = time.monotonic()
    wait_until(timed, (tmp_path / "timed" / ".work" / "journal.jsonl").exists)
    ready_s = time.monotonic() - began
    assert timed.wait(300) == 0, timed.stderr.read()
    timed.communicate()
    works_s = time.monotonic() - began - ready_s
    expected = outputs(tmp_path / "timed")
    assert expected == outputs(unbroken)
    killed_in = set()
    for number in range(1, kills + 1):
        out = tmp_path / f"out-{(number - 1) // 4}"
        process = start(*stages_command(videos, out, server.url))
        time.sleep(ready_s * 0.8 + dice.random() * works_s * 0.7)
        kill(process)
        killed_in |= {path.name.split("-")[0] for path in (out / ".work" / "scratch").glob("*")}
        if number % 4 == 0 or number == kills:
            _finish(videos, out, server)
            assert outputs(out) == expected
    assert killed_in, "no kill came while anything was written"


JUMPING_CLOCK = """
import itertools, runpy, time
clock, jumps = time.time, itertools.cycle([0.0, 3e8, -3e8, 86400.0])
time.time = lambda: clock() + next(jumps)
runpy.run_module("tests.stages", run_name="__main__", alter_sys=True)
"""


def test_a_clock_that_jumps_changes_nothing(
    videos: Path, server: FaultServer, unbroken: Path, tmp_path: Path
) -> None:
    python, _, _, *arguments = stages_command(videos, tmp_path / "out", server.url)
    process = start(python, "-c", JUMPING_CLOCK, *arguments)
    words = process.communicate(timeout=300)[1]
    assert process.returncode == 0, words
    assert data_bytes(tmp_path / "out") == data_bytes(unbroken)
    assert all(0 <= line["ran_s"] < 300 for line in journal(tmp_path / "out"))


def test_commands_killed_with_their_parts_and_told_to_stop(
    videos: Path, server: FaultServer, unbroken: Path, tmp_path: Path, long_tests: bool
) -> None:
    """One output suffers, one after the other: SIGKILL of the command, of Prefect's server, Ctrl-C once and twice."""
    out, dice = tmp_path / "out", random.Random(4)
    command = [COMMAND, videos, "--out", out, *CHOICES, "--caption-urls", server.url]
    for number in range(10 if long_tests else 1):
        process = start(*command)
        seen = len(journal(out))
        wait_until(process, lambda seen=seen, least=1 + number: len(journal(out)) > seen + least)
        time.sleep(dice.uniform(0, 1))
        kill(process)
        assert none_left(process.pid)
    _check_once(out, command)
    _check_twice(out, command)
    _check_server_killed(out, command)
    built(*command[1:])
    assert data_bytes(out) == data_bytes(unbroken)


def _check_once(out: Path, command: list) -> None:
    """What is in hand is finished, nothing else is begun, and the words say how to go on."""
    seen = len(journal(out))
    shutil.rmtree(out / ".work" / "decode", ignore_errors=True)
    process = start(*command)
    wait_until(process, lambda: any(line["event"] == "started" for line in journal(out)[seen:]))
    os.killpg(process.pid, signal.SIGINT)
    told = len(journal(out))
    words = process.communicate(timeout=120)[1]
    assert process.returncode == 4, words
    assert "Ctrl-C again stops now" in words
    assert "the same command goes on" in words
    assert "Traceback" not in words
    assert not (out / "manifest.json").exists()
    begun = {(line["stage"], line["item"]) for line in journal(out)[seen:told + 2] if line["event"] == "started"}
    done = {(line["stage"], line["item"]) for line in journal(out)[seen:] if line["event"] == "done"}
    assert begun <= done
    status = read_status(out)
    assert status.waiting
    assert status.process is None


def _check_twice(out: Path, command: list) -> None:
    seen = len(journal(out))
    process = start(*command)
    wait_until(process, lambda: any(line["event"] == "started" for line in journal(out)[seen:]))
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.05)
    began = time.monotonic()
    words = process.communicate(timeout=60)[1]
    assert process.returncode == 4, words
    assert time.monotonic() - began < 30
    assert none_left(process.pid)


def _check_server_killed(out: Path, command: list) -> None:
    """Prefect's server dies under a build, which ends by itself, neither hanging nor saying it is done."""
    seen = len(journal(out))
    process = start(*command)
    wait_until(process, lambda: any(line["event"] == "began" for line in journal(out)[seen:]))
    found = subprocess.run(
        ["ps", "-ww", "-A", "-o", "pid=,sess=,args="], text=True, capture_output=True, check=True).stdout
    server, = [int(line.split()[0]) for line in found.splitlines()
               if line.split()[1] == str(process.pid) and "temporary_prefect_server" in line]
    os.kill(server, signal.SIGKILL)
    words = process.communicate(timeout=200)[1]
    assert process.returncode in (1, 4), words[-2000:]
    assert "the same command goes on" in words
    assert none_left(process.pid)


def test_two_started_at_once(videos: Path, server: FaultServer, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    both = [start(COMMAND, videos, "--out", out, *CHOICES, "--caption-urls", server.url) for _ in range(2)]
    words = [process.communicate(timeout=300)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], words
    assert any("another run (process" in said for said in words)
    assert data_bytes(out) == data_bytes(unbroken)


# ---- Disks


def _mounted(options: str, folder: Path, *command: str | os.PathLike[str]) -> list[str]:
    """A command that sees `folder` mounted in another way, which nobody else sees."""
    inner = f'mount {options} && exec "$@"'
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", inner, "sh", *map(os.fspath, command)]


def _mounts_are_allowed(folder: Path) -> bool:
    trial = _mounted(f"-t tmpfs -o size=1m none {folder}", folder, "true")
    return shutil.which("unshare") is not None and subprocess.run(
        trial, capture_output=True, check=False).returncode == 0


def test_a_full_disk_stops_the_build_and_loses_nothing(
    videos: Path, server: FaultServer, unbroken: Path, tmp_path: Path
) -> None:
    """A disk too small for the data set; what is on it is copied to a larger one, where the build goes on."""
    small, out = tmp_path / "small", tmp_path / "out"
    small.mkdir()
    if not _mounts_are_allowed(small):
        pytest.skip("no mounts in a name space of one's own here")
    script = f'"$@"; code=$?; cp -r {small}/out {out}; exit $code'
    done = subprocess.run(
        _mounted(f"-t tmpfs -o size=4m none {small}", small, "sh", "-c", script, "sh", COMMAND, videos, "--out",
                 small / "out", *CHOICES, "--caption-urls", server.url),
        env=clean_environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 4, done.stderr[-3000:]
    # Prefect, whose database is on the disk too, may say a lot before and after.
    _, _, said = done.stderr.partition("build-vico: ")
    assert "there is no room left" in said
    assert "the same command goes on" in said
    assert not (out / "manifest.json").exists()
    _finish(videos, out, server)
    assert outputs(out) == outputs(unbroken)


def test_a_read_only_output_is_refused(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    command = [COMMAND, videos, "--out", out]
    if os.geteuid() == 0:
        if not _mounts_are_allowed(out):
            pytest.skip("no mounts in a name space of one's own here")
        command = _mounted(f"--bind -o ro {out} {out} && mount -o remount,bind,ro {out}", out, *command)
    done = subprocess.run(list(map(os.fspath, command)), env=clean_environment(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 2
    assert f"--out {out}:" in done.stderr
    assert list(out.iterdir()) == []


def test_only_a_disk_without_room_counts_as_one() -> None:
    full = OSError(errno.ENOSPC, "full")
    assert is_no_room(full)
    failed = RuntimeError("a stage failed")
    failed.__cause__ = full
    assert is_no_room(failed)
    assert not is_no_room(OSError(errno.EIO, "broken"))
    assert not is_no_room(None)


def test_what_appears_is_on_the_disk_before_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps of a file what was flushed: everything in a product is, before the rename, and the rename too.
    """
    flushed: dict[int, tuple[int, int]] = {}
    order: list[str] = []
    flush, rename = os.fsync, os.rename

    def fsync(handle: int) -> None:
        facts = os.fstat(handle)
        flushed[facts.st_ino] = (facts.st_size, facts.st_mtime_ns)
        order.append(f"flushed {facts.st_ino}")
        flush(handle)

    def move(source: str | Path, target: str | Path) -> None:
        for path in Path(source).rglob("*"):
            facts = path.stat()
            assert flushed[facts.st_ino] == (facts.st_size, facts.st_mtime_ns), path
        rename(source, target)
        order.append("appeared")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", move)
    store = WorkStore(tmp_path)
    with store.write("decode", "k", {"video": "v"}) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_bytes(b"1" * 10_000)
    parents = [f"flushed {path.stat().st_ino}" for path in (tmp_path / ".work", tmp_path / ".work" / "decode")]
    appeared = order.index("appeared")
    assert parents[0] in order
    assert parents[1] in order[appeared:]


def test_a_model_server_that_dies_costs_what_was_in_flight(
    videos: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with FaultServer(delay_s=(0.2, 0.5)) as server:
        process = start(COMMAND, videos, "--out", out, *CHOICES, "--caption-urls", server.url,
                         "--give-up-seconds", "3", "--requests-in-flight", "2")
        wait_until(process, lambda: len(server.seen) > 4)
    words = process.communicate(timeout=100)[1]
    assert process.returncode == 4, words
    assert "the same command goes on" in words
    with FaultServer() as server:
        _finish(videos, out, server)
        usage = json.loads((unbroken / "manifest.json").read_text(encoding="utf-8"))["served"]["usage"]
        assert len(server.seen) <= sum(row["answers"] for row in usage) - 2
    assert data_bytes(out) == data_bytes(unbroken)
    assert len(rows(out, "videos")) == VIDEOS
