"""Progress of a build, read from the journal: a bar per stage on a terminal, plain lines elsewhere, or JSON."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.journal import read_journal
from schemas.reasons import Stage

_STAGES = (Stage.FETCH, Stage.PROBE, Stage.DECODE, Stage.CAPTIONS, Stage.CLUES, Stage.QUESTIONS, Stage.SHARDS)
_ORDER = tuple(Stage)
_REFRESH_S = 0.3


class _Rate(ProgressColumn):
    """How many an hour get through a stage."""

    def render(self, task: Task) -> Text:
        return Text(f"{3600 * task.speed:,.0f}/h" if task.speed else "")


class ProgressBars:
    """Follows a journal in a thread for the time of a block.

    Args:
        journal: the journal's file, which may not be there yet.
        as_json: copy its lines to stderr, one JSON object each, in place of bars and words.
    """

    def __init__(self, journal: Path, as_json: bool = False) -> None:
        self._journal, self._as_json = journal, as_json
        self._offset = journal.stat().st_size if journal.exists() else 0
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=self._console,
            disable=as_json or not self._console.is_terminal)
        self._bars = {stage: self._progress.add_task(stage, total=None, note="") for stage in _STAGES}
        self._shares: dict[str, dict[str, float]] = {stage: {} for stage in _STAGES}
        self._rejected = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "ProgressBars":
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._progress.stop()

    def _follow(self) -> None:
        while not self._stop.wait(_REFRESH_S):
            self._read()
        self._read()

    def _read(self) -> None:
        if not self._journal.exists():
            return
        for line, offset in read_journal(self._journal, self._offset):
            self._offset = offset
            self._show(line)

    def _show(self, line: dict[str, Any]) -> None:
        if self._as_json:
            print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)
            return
        event, stage, item = line["event"], line["stage"], line["item"]
        if event == "planned":
            self._plan(item, line["count"])
        elif event == "rejected":
            self._reject(stage, item)
            self._say_plainly(f"left out: {item} ({line['reason']})")
        elif stage in self._shares:
            self._shares[stage][item] = 1.0 if event in ("done", "reused") else line.get("share", 0.0)
            self._progress.update(self._bars[stage], completed=round(sum(self._shares[stage].values()), 2))
            if event in ("done", "reused"):
                self._say_plainly(f"{stage}: {item} {event}")

    def _reject(self, stage: str, item: str) -> None:
        """The stage is through with the item, and the stages after it will not see it."""
        self._rejected += 1
        if stage in self._bars:
            self._shares[stage][item] = 1.0
            self._progress.update(
                self._bars[stage], completed=sum(self._shares[stage].values()), note=f"{self._rejected} rejected")
        for later in (Stage.DECODE, Stage.CAPTIONS, Stage.CLUES, Stage.QUESTIONS):
            if _ORDER.index(later) > _ORDER.index(stage):
                bar = self._bars[later]
                self._progress.update(bar, total=(self._progress.tasks[bar].total or 1) - 1)

    def _plan(self, what: str, count: int) -> None:
        for stage in _STAGES:
            if stage == Stage.SHARDS:
                self._progress.update(self._bars[stage], total=1)
            elif what == {Stage.FETCH: "fetches", Stage.PROBE: "sources"}.get(stage, "videos"):
                self._progress.update(self._bars[stage], total=count, visible=count > 0)

    def _say_plainly(self, words: str) -> None:
        if not self._console.is_terminal:
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)
