"""A run of `build-vico` watched from outside: memory and CPU of each of its processes, seconds of each stage."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("build-vico")
_LOOK_EVERY_S = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")
_ROLES = {"temporary_prefect_server": "Prefect server", "spawn_main": "worker", "resource_tracker": "tracker"}


@dataclass
class Watched:
    """What a run took. Seconds, of CPU too, are from the journal's start to its end: without the start of Python and
    Prefect, and without what Prefect's server does when it ends."""

    run_s: float
    stage_s: Counter[str]
    """Sum over all videos of the time between the start and the end of each stage."""
    peak_mb: dict[str, float] = field(default_factory=dict)
    """By role: command, Prefect server, worker (the largest)."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """By role, to a quarter of a second; a process that lives shorter may be missed."""
    database_mb: float = 0.0
    idle_s: float = 0.0
    """Of `run_s`, when no stage of any video was under way, nor the shards."""


def watched_build(out: Path, *arguments: str | Path) -> Watched:
    """Run the command to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [COMMAND, *arguments, "--out", out, "--log-json"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    seen: dict[int, tuple[str, float, float]] = {}
    looks: list[tuple[float, dict[str, float]]] = []
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, seen, looks, ended))
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    lines = [json.loads(line) for line in (out / ".work" / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    watched = _of_journal(lines)
    for role, peak_mb, _ in seen.values():
        watched.peak_mb[role] = max(watched.peak_mb.get(role, 0.0), peak_mb)
    before, after = (_last_look(looks, lines[place]["at"]) for place in (0, -1))
    watched.cpu_s = {role: cpu_s - before.get(role, 0.0) for role, cpu_s in after.items()}
    watched.database_mb = sum(path.stat().st_size for path in (out / ".work" / "prefect").glob("*.db*")) / 1e6
    return watched


def _of_journal(lines: list[dict[str, Any]]) -> Watched:
    stages: Counter[str] = Counter()
    started: dict[tuple[str, str], float] = {}
    idle_s, idle_since = 0.0, lines[0]["ran_s"]
    for line in lines:
        item = line["stage"], line["item"]
        if line["event"] == "started":
            idle_s += 0.0 if started else line["ran_s"] - idle_since
            started[item] = line["ran_s"]
        elif line["event"] == "done" and item in started:
            stages[line["stage"]] += line["ran_s"] - started.pop(item)
            idle_since = line["ran_s"]
    run_s = lines[-1]["ran_s"] - lines[0]["ran_s"]
    return Watched(run_s, stages, idle_s=idle_s + lines[-1]["ran_s"] - idle_since)


def _last_look(looks: list[tuple[float, dict[str, float]]], at: float) -> dict[str, float]:
    return next((cpu_s for looked_at, cpu_s in reversed(looks) if looked_at <= at), {})


def _watch(
    session: int, seen: dict[int, tuple[str, float, float]], looks: list[tuple[float, dict[str, float]]],
    ended: threading.Event,
) -> None:
    while not ended.wait(_LOOK_EVERY_S):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                _look_at(folder, session, seen)
            except OSError:
                continue  # it ended while it was looked at
        by_role: Counter[str] = Counter()
        for role, _, cpu_s in seen.values():
            by_role[role] += cpu_s
        looks.append((time.time(), dict(by_role)))


def _look_at(folder: Path, session: int, seen: dict[int, tuple[str, float, float]]) -> None:
    numbers = (folder / "stat").read_text().rpartition(")")[2].split()
    words = (folder / "cmdline").read_bytes().decode(errors="replace")
    if int(numbers[3]) != session or not words:  # one that ends has no memory any more, and no words
        return
    role = next((role for sign, role in _ROLES.items() if sign in words), "command")
    status = (folder / "status").read_text().splitlines()
    peak_mb = next((int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")), 0.0)
    seen[int(folder.name)] = role, peak_mb, (int(numbers[11]) + int(numbers[12])) / _TICKS
