"""Progress of a command, on stderr: a bar per stage on a terminal, plain lines in a log, JSON lines for programs.

Every command that takes long tells of itself through this. The model's commands do too, so nothing else of the pipeline
is imported here.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from schemas.choices import LOG_JSON

Item = TypeVar("Item")

_BAR_WIDTH = 10
_RATE_OVER_S = 600.0
_PLAIN_EVERY_S = 10.0
_JSON_EVERY_S = 1.0


def add_log_json(parser: argparse.ArgumentParser) -> None:
    """Give a command the flag that every one has: `log_json`."""
    parser.add_argument("--log-json", action="store_true", help=LOG_JSON)


class StageProgress:
    """How far a command is in each of its stages; shown for the time of a `with` block.

    Args:
        stages: their names in the order in which they are shown; a stage is shown from its plan on.
        as_json: an object a line in place of bars and words.
        quiet: say nothing, for work that somebody else tells of.
    """

    def __init__(self, stages: Sequence[str], as_json: bool = False, quiet: bool = False) -> None:
        self._as_json, self._quiet = as_json, quiet
        self._console = Console(stderr=True)
        self._draws = self._console.is_terminal and not as_json and not quiet
        self._bars = Progress(
            TextColumn("{task.description:10}"), BarColumn(_BAR_WIDTH, table_column=Column(no_wrap=True)),
            _Words(_count), _Words(_rate), TimeElapsedColumn(Column(no_wrap=True)), _Words(_to_go),
            _Words(_notes, Column()),  # the one that is cut where the terminal is narrow
            console=self._console, disable=not self._draws,
            # What is printed to a file or a pipe while bars are drawn belongs there.
            redirect_stdout=sys.stdout.isatty(), speed_estimate_period=_RATE_OVER_S, get_time=time.monotonic)
        self._tasks = {stage: self._bars.add_task(stage, total=None, start=False, visible=False, note="", rejected=0,
                                                  done_before=0.0)
                       for stage in stages}
        self._told: dict[str, float] = {}
        self._ended: set[str] = set()
        self._began = time.monotonic()

    def __enter__(self) -> "StageProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def plan(self, stage: str, total: float | None, done: float = 0.0) -> None:
        """Say how much there is to do in a stage; None where nobody knows. A stage without anything is not shown.

        Args:
            done: so much of it was done before; it does not count for the rate.
        """
        task = self._tasks[stage]
        if self._task(stage).start_time is None:
            self._bars.reset(task, completed=done)  # its clock runs from here
            self._bars.update(task, done_before=done)
        self._bars.update(task, total=total, visible=total != 0)
        self._told.setdefault(stage, time.monotonic())
        self._say_json("planned", stage)

    def reach(self, stage: str, done: float, note: str | None = None) -> None:
        """So much of a stage is done.

        Args:
            note: a few words that stand beside it, in place of the last ones.
        """
        self._bars.update(self._tasks[stage], completed=done, **({} if note is None else {"note": note}))
        self._tell(stage)

    def advance(self, stage: str, by: float = 1.0) -> None:
        """So much more of a stage is done."""
        self._bars.advance(self._tasks[stage], by)
        self._tell(stage)

    def reject(self, stage: str, count: int = 1) -> None:
        """So many more were left out in a stage."""
        task = self._task(stage)
        self._bars.update(task.id, rejected=task.fields["rejected"] + count)

    def track(self, items: Iterable[Item], stage: str, total: int | None) -> Iterator[Item]:
        """Items, each of which is done when the next is asked for."""
        self.plan(stage, total)
        for item in items:
            yield item
            self.advance(stage)

    def say(self, words: str) -> None:
        """A line for the log; on a terminal the bars say it."""
        if not self._draws and not self._as_json:
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    def tell(self, line: dict[str, Any]) -> None:
        """A line for programs, of one's own making."""
        if self._as_json and not self._quiet:
            print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)

    def _task(self, stage: str) -> Task:
        return self._bars.tasks[self._bars.task_ids.index(self._tasks[stage])]

    def _tell(self, stage: str) -> None:
        """Where no bars are drawn: a line now and then, and one at the end of the stage."""
        task, now = self._task(stage), time.monotonic()
        if self._draws or self._quiet or stage in self._ended:
            return
        ends = task.total is not None and task.completed >= task.total
        if not ends and now - self._told.setdefault(stage, now) < (_JSON_EVERY_S if self._as_json else _PLAIN_EVERY_S):
            return
        self._told[stage] = now
        if ends:
            self._ended.add(stage)
        self._say_json("done" if ends else "progress", stage)
        parts = [_count(task) or duration(task.elapsed or 0.0), _rate(task), "" if ends else _to_go(task), _notes(task)]
        self.say(f"{stage}: {', '.join(part for part in parts if part)}")

    def _say_json(self, event: str, stage: str) -> None:
        task = self._task(stage)
        speed = _speed(task)
        self.tell({
            "at": round(time.time(), 3), "ran_s": round(time.monotonic() - self._began, 3), "event": event,
            "stage": stage, "done": task.completed, "count": task.total, "rejected": task.fields["rejected"],
            "per_second": None if speed is None else round(speed, 4), "to_go_s": _to_go_s(task),
            "note": task.fields["note"]})


class _Words(ProgressColumn):
    """A column of words about a task."""

    def __init__(self, words: Callable[[Task], str], column: Column | None = None) -> None:
        super().__init__(column or Column(no_wrap=True))
        self._words = words

    def render(self, task: Task) -> Text:
        return Text(self._words(task), no_wrap=True, overflow="ellipsis")


def _count(task: Task) -> str:
    if task.total is None:
        return f"{task.completed:,.0f}" if task.completed else ""
    # Parts of a video count while it is worked on.
    return f"{_number(task.completed)} of {task.total:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _speed(task: Task) -> float | None:
    """How many a second; None where nothing is known yet."""
    done = task.completed - task.fields["done_before"]
    return task.speed or (done / task.elapsed if done > 0 and task.elapsed else None)


def _rate(task: Task) -> str:
    speed = _speed(task)
    if not speed:
        return ""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if speed * seconds >= 1 or unit == "h":
            return f"{_rounded(speed * seconds)}/{unit}"
    return ""


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _to_go_s(task: Task) -> float | None:
    speed = _speed(task)
    return None if task.total is None or not speed else round(max(0.0, task.total - task.completed) / speed, 1)


def _to_go(task: Task) -> str:
    seconds = _to_go_s(task)
    return "" if not seconds else f"{duration(seconds)} to go"


def _notes(task: Task) -> str:
    rejected = task.fields["rejected"]
    return ", ".join(part for part in (f"{rejected:,} left out" if rejected else "", task.fields["note"]) if part)


def duration(seconds: float) -> str:
    """A length of time in words: `12 s`, `5 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
