"""`report-vico --serve` as a process of its own, as people run it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

_COMMAND = [sys.executable, "-c", "from pipeline.report.command import main; main()"]


@dataclass
class Served:
    """A running server: its address, and its process."""

    url: str
    process: subprocess.Popen[str]

    def sql(self, sql: str) -> requests.Response:
        return requests.post(f"{self.url}api/sql", json={"sql": sql}, timeout=60)

    def ended(self) -> str:
        """What it prints until it ends by itself."""
        said, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return said


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Served]:
    """Serve the page about a data set; ended with Ctrl-C where it still runs."""
    process = subprocess.Popen(
        [*_COMMAND, os.fspath(folder), "--no-browser", *options], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[3])
    found = re.match(r"(http://127\.0\.0\.1:\d+/)", process.stdout.readline())
    assert found, "the server did not start"
    server = Served(found[1], process)
    try:
        _wait(server.url)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def _wait(url: str) -> None:
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=requests.adapters.Retry(
            connect=200, backoff_factor=0.05, backoff_max=0.2)))
        session.get(url, timeout=30).raise_for_status()
