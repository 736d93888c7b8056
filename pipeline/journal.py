"""What a run does, line by line, in OUT/.work/journal.jsonl: for people, progress bars and tests.

The journal only tells; what is done is decided by the work store alone.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Event = Literal["planned", "started", "progress", "done", "reused", "rejected", "waiting"]

_PROGRESS_EVERY_S = 0.5


class Journal:
    """Appends lines; safe for many threads, as each line is one write to a file opened for appending."""

    def __init__(self, work: Path) -> None:
        self.path = work / "journal.jsonl"
        work.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._last_progress: dict[str, float] = {}

    def say(self, event: Event, stage: str, item: str, **more: Any) -> None:
        """Add a line: what happened to which item in which stage."""
        line = {"at": round(time.time(), 3), "event": event, "stage": stage, "item": item, **more}
        os.write(self._handle, (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "replace"))

    def say_progress(self, stage: str, item: str, share: float) -> None:
        """Add a line about progress, 0 to 1, unless the item had one just now."""
        now = time.monotonic()
        if now - self._last_progress.get(item, 0.0) >= _PROGRESS_EVERY_S:
            self._last_progress[item] = now
            self.say("progress", stage, item, share=round(share, 4))

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def read_journal(path: Path, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """The whole lines from a byte offset on, each with the offset behind it."""
    with path.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield json.loads(line), offset
