"""What running something takes: wall seconds, CPU seconds, the peak memory of the largest process."""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What running something took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end; CPU and memory include the processes it started and waited for."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said[-2000:])
    return Cost(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def timed(work: Callable[[], None]) -> Cost:
    """Run a function in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(time.perf_counter() - wall, time.process_time() - cpu, peak_mb)
