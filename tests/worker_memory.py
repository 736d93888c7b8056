"""How much memory a worker's process has taken, asked as a job of its own."""

from pathlib import Path
from typing import Any


def peak_mb(report: Any) -> float:
    """Most megabytes that lay in memory at a time since the process was started.

    Not `ru_maxrss`: a process inherits that from the one that started it, however fat it was.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
