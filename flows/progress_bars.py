"""Progress of a build, read from its journal: what the build does lies in other threads, or in another process."""

import threading
from pathlib import Path
from typing import Any

from pipeline.journal import read_journal
from pipeline.progress import StageProgress
from schemas.reasons import Stage

_STAGES = (Stage.FETCH, Stage.PROBE, Stage.DECODE, Stage.CAPTIONS, Stage.CLUES, Stage.QUESTIONS, Stage.SHARDS)
_AFTER_THE_FILE = (Stage.DECODE, Stage.CAPTIONS, Stage.CLUES, Stage.QUESTIONS)
_SHOWN_AT = {Stage.SOURCES: Stage.PROBE, Stage.QUALITY: Stage.DECODE}
"""Stages too short for a bar, and the bar that counts what they leave out."""
_ORDER = tuple(Stage)
_LOOK_EVERY_S = 0.3


class ProgressBars:
    """Follows a journal in a thread for the time of a block.

    Args:
        journal: the journal's file, which may not be there yet.
        as_json: copy its lines to stderr, one JSON object each, in place of bars and words.
    """

    def __init__(self, journal: Path, as_json: bool = False) -> None:
        self._journal, self._as_json = journal, as_json
        self._offset = journal.stat().st_size if journal.exists() else 0
        self._progress = StageProgress(_STAGES, as_json)
        self._totals: dict[str, int] = {}
        self._shares: dict[str, dict[str, float]] = {stage: {} for stage in _STAGES}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "ProgressBars":
        self._progress.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._progress.__exit__()

    def _follow(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            self._read()
        self._read()

    def _read(self) -> None:
        if not self._journal.exists():
            return
        for line, offset in read_journal(self._journal, self._offset):
            self._offset = offset
            if self._as_json:
                self._progress.tell(line)
            else:
                self._show(line)

    def _show(self, line: dict[str, Any]) -> None:
        event, stage, item = line["event"], line["stage"], line["item"]
        if event == "planned":
            self._plan(item, line["count"])
        elif event == "rejected":
            self._progress.say(f"left out: {item} ({line['reason']})")
            self._reject(stage, item)
        elif stage in self._shares:
            if event in ("done", "reused"):
                self._progress.say(f"{stage}: {item} {event}")
            self._reach(stage, item, 1.0 if event in ("done", "reused") else line.get("share", 0.0))

    def _reach(self, stage: str, item: str, share: float) -> None:
        self._shares[stage][item] = share
        self._progress.reach(stage, round(sum(self._shares[stage].values()), 2))

    def _reject(self, stage: str, item: str) -> None:
        """The stage is through with the item, and the stages after it will not see it."""
        for later in _AFTER_THE_FILE:
            if _ORDER.index(later) > _ORDER.index(stage):
                self._totals[later] = self._totals.get(later, 1) - 1
                self._progress.plan(later, self._totals[later])
        bar = _SHOWN_AT.get(stage, stage)
        self._progress.reject(bar)
        self._reach(bar, item, 1.0)

    def _plan(self, what: str, count: int) -> None:
        counted = {"fetches": (Stage.FETCH,), "sources": (Stage.PROBE,), "videos": _AFTER_THE_FILE}[what]
        for stage in counted:
            self._totals[stage] = count
            self._progress.plan(stage, count)
        if what == "videos":
            self._progress.plan(Stage.SHARDS, 1)
