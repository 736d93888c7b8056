"""A run of `build-vico` watched from outside: memory and CPU of each of its processes, seconds of each stage."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = Path(sys.executable).with_name("build-vico")
_LOOK_EVERY_S = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")
_ROLES = {"temporary_prefect_server": "Prefect server", "spawn_main": "worker", "resource_tracker": "tracker"}


@dataclass
class Watched:
    """What a run took. Seconds are from the journal's start to its end: without the start of Python and Prefect."""

    run_s: float
    stage_s: Counter[str]
    """Sum over all videos of the time between the start and the end of each stage."""
    peak_mb: dict[str, float] = field(default_factory=dict)
    """By role: command, Prefect server, worker (the largest)."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """By role; a process that lives shorter than a quarter of a second may be missed."""
    database_mb: float = 0.0

    @property
    def orchestrated_s(self) -> float:
        """What is left of the run when the stages' own time is taken off; one worker only."""
        return self.run_s - sum(self.stage_s.values())


def watched_build(out: Path, *arguments: str | Path) -> Watched:
    """Run the command to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [COMMAND, *arguments, "--out", out, "--log-json"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    seen: dict[int, tuple[str, float, float]] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, seen, ended))
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    watched = _of_journal(out / ".work" / "journal.jsonl")
    for role, peak_mb, cpu_s in seen.values():
        watched.peak_mb[role] = max(watched.peak_mb.get(role, 0.0), peak_mb)
        watched.cpu_s[role] = watched.cpu_s.get(role, 0.0) + cpu_s
    watched.database_mb = sum(path.stat().st_size for path in (out / ".work" / "prefect").glob("*.db*")) / 1e6
    return watched


def _of_journal(path: Path) -> Watched:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    stages: Counter[str] = Counter()
    started: dict[tuple[str, str], float] = {}
    for line in lines:
        item = line["stage"], line["item"]
        if line["event"] == "started":
            started[item] = line["ran_s"]
        elif line["event"] == "done" and item in started:
            stages[line["stage"]] += line["ran_s"] - started.pop(item)
    return Watched(lines[-1]["ran_s"] - lines[0]["ran_s"], stages)


def _watch(session: int, seen: dict[int, tuple[str, float, float]], ended: threading.Event) -> None:
    while not ended.wait(_LOOK_EVERY_S):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                _look_at(folder, session, seen)
            except OSError:
                continue  # it ended while it was looked at


def _look_at(folder: Path, session: int, seen: dict[int, tuple[str, float, float]]) -> None:
    numbers = (folder / "stat").read_text().rpartition(")")[2].split()
    words = (folder / "cmdline").read_bytes().decode(errors="replace")
    if int(numbers[3]) != session or not words:  # one that ends has no memory any more, and no words
        return
    role = next((role for sign, role in _ROLES.items() if sign in words), "command")
    status = (folder / "status").read_text().splitlines()
    peak_mb = next((int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")), 0.0)
    seen[int(folder.name)] = role, peak_mb, (int(numbers[11]) + int(numbers[12])) / _TICKS
