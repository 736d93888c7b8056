"""What a run does, line by line, in OUT/.work/journal.jsonl: for people, progress bars and tests.

The journal only tells; what is done is decided by the work store alone.
"""

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Event = Literal["began", "planned", "started", "progress", "done", "reused", "rejected", "waiting", "left"]

_PROGRESS_EVERY_S = 0.5


class Journal:
    """Appends lines; safe for many threads, as each line is one write to a file opened for appending."""

    def __init__(self, work: Path) -> None:
        self.path = work / "journal.jsonl"
        work.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._opened = time.monotonic()
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":
            self._write(b"\n")  # a full disk or a power cut left half a line
        self._last_progress: dict[str, float] = {}

    def say(self, event: Event, stage: str, item: str, **more: Any) -> None:
        """Add a line: what happened to which item in which stage.

        `at` is the clock's time, which may jump; `ran_s` counts the seconds since the journal was opened.

        Raises:
            OSError: the disk is full.
        """
        line = {"at": round(time.time(), 3), "ran_s": round(time.monotonic() - self._opened, 3), "event": event,
                "stage": stage, "item": item, **more}
        self._write((json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "replace"))

    def say_progress(self, stage: str, item: str, share: float) -> None:
        """Add a line about progress, 0 to 1, unless the item had one just now."""
        now = time.monotonic()
        if now - self._last_progress.get(item, 0.0) >= _PROGRESS_EVERY_S:
            self._last_progress[item] = now
            self.say("progress", stage, item, share=round(share, 4))

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _write(self, data: bytes) -> None:
        if os.write(self._handle, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


class GatheredJournal(Journal):
    """Keeps what is said, for a journal on another machine."""

    def __init__(self) -> None:
        self._said: list[dict[str, Any]] = []

    def say(self, event: Event, stage: str, item: str, **more: Any) -> None:
        """Keep a line."""
        self._said.append({"event": event, "stage": stage, "item": item, **more})

    def say_progress(self, stage: str, item: str, share: float) -> None:
        """Nothing: when it arrives, the item is done."""

    def take(self) -> list[dict[str, Any]]:
        """What was said since this was called last: arguments for `Journal.say`."""
        said, self._said = self._said, []
        return said

    def close(self) -> None:
        """Nothing is open."""


def read_journal(path: Path, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """The whole lines from a byte offset on, each with the offset behind it.

    A line that a full disk or a power cut left half is passed over.
    """
    with path.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                said = json.loads(line)
            except ValueError:
                continue
            yield said, offset
