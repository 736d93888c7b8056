"""How far a build is: what `build-vico --status` prints. Read from the journal and the lock; nothing is started."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.build_request import read_request
from pipeline.journal import read_journal
from pipeline.output_lock import running_build
from pipeline.progress import duration
from schemas.reasons import Stage

_BEGAN = b'"event": "began"'
_BLOCK = 1 << 20
_MOST_NAMES = 5


class NothingBuiltError(Exception):
    """A folder in which no build has begun."""


@dataclass
class BuildStatus:
    """The last build of an output. Times in seconds."""

    process: int | None
    """The build that runs now."""
    finished: bool
    """Whether it came to its end."""
    ran_s: float
    sources: int
    done: int
    rejected: dict[str, int] = field(default_factory=dict)
    """How many by reason."""
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Stage and share of it by source; of a build that was broken off, what it was at."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Sources that are left for another run, and why."""
    to_go_s: float | None = None

    @property
    def left(self) -> int:
        """Sources that were not begun."""
        return max(0, self.sources - self.done - sum(self.rejected.values()) - len(self.running))


def read_status(out: Path) -> BuildStatus:
    """The status of an output's last build.

    Raises:
        NothingBuiltError: none has begun there.
    """
    journal = out / ".work" / "journal.jsonl"
    if not journal.is_file():
        raise NothingBuiltError(f"no build has begun in {out}")
    lines = list(_last_build(journal))
    process = running_build(out)
    status = BuildStatus(
        process=process, finished=any(line["event"] == "done" and line["stage"] == "run" for line in lines),
        ran_s=lines[-1]["ran_s"] if lines else 0.0, sources=0, done=0)
    worked_on = _follow(status, lines)
    if process is not None:
        is_served = read_request(out / ".work").get("captioner") == "served"
        status.to_go_s = _time_to_go(status, worked_on, Stage.CAPTIONS if is_served else Stage.DECODE)
    return status


def as_text(status: BuildStatus, out: Path) -> str:
    """The status for people."""
    if status.process is not None:
        head = f"a build is running (process {status.process}), for {duration(status.ran_s)}"
    elif status.finished:
        head = f"the last build ended after {duration(status.ran_s)}"
    else:
        head = f"the last build was broken off after {duration(status.ran_s)}; the same command goes on"
    rejected = sum(status.rejected.values())
    to_go = "" if status.to_go_s is None else f"; about {duration(status.to_go_s)} to go"
    begun = "running" if status.process is not None else "begun"
    lines = [f"{out}: {head}",
             f"{status.done} of {status.sources} sources done, {len(status.running)} {begun}, {rejected} rejected, "
             f"{status.left} left{to_go}"]
    lines += [f"  {stage:10} {source}  {share:.0%}" for source, (stage, share) in sorted(status.running.items())]
    lines += [f"  rejected   {reason}: {count}" for reason, count in sorted(status.rejected.items())]
    lines += [f"  left       {why}: {names}" for why, names in _by_reason(status.waiting)]
    return "\n".join(lines)


def _by_reason(waiting: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each reason with the first names of those that are left for it."""
    names: dict[str, list[str]] = {}
    for source, why in sorted(waiting.items()):
        names.setdefault(why, []).append(source)
    for why, some in names.items():
        more = f" and {len(some) - _MOST_NAMES} more" if len(some) > _MOST_NAMES else ""
        yield why, ", ".join(some[:_MOST_NAMES]) + more


def as_json(status: BuildStatus) -> str:
    """The status for programs."""
    return json.dumps(asdict(status) | {"left": status.left}, ensure_ascii=False)


def _last_build(journal: Path) -> Iterator[dict[str, Any]]:
    """The lines of the last build: the journal of a large output is long, and is read from its end."""
    end = start = journal.stat().st_size
    tail = b""
    with journal.open("rb") as file:
        while start > 0 and (tail.rfind(_BEGAN)) < 0:
            start = max(0, start - _BLOCK)
            file.seek(start)
            tail = file.read(end - start)
    at = tail.rfind(_BEGAN)
    offset = start + (tail.rfind(b"\n", 0, at) + 1 if at >= 0 else 0)
    yield from (line for line, _ in read_journal(journal, offset))


def _follow(status: BuildStatus, lines: list[dict[str, Any]]) -> set[str]:
    """Fill in what the lines tell.

    Returns:
        Done sources for which this build had to do something.
    """
    begun: set[str] = set()
    worked_on: set[str] = set()
    through: set[str] = set()
    for line in lines:
        event, stage, item = line["event"], line["stage"], line["item"]
        if event == "planned" and item == "videos":
            status.sources = line["count"]
        elif stage in ("run", "requests", Stage.SHARDS):
            continue
        elif stage == "video":
            through.add(item)
            status.running.pop(item, None)
            status.done += 1
            worked_on |= {item} & begun
        elif item in through and event != "rejected":
            continue  # its questions are judged once more when all are there
        elif event in ("started", "progress"):
            begun.add(item)
            status.running[item] = (stage, line.get("share", 0.0))
        elif event in ("done", "reused"):
            status.running[item] = (stage, 1.0)
        elif event == "rejected":
            status.running.pop(item, None)
            status.rejected[line["reason"]] = status.rejected.get(line["reason"], 0) + 1
        elif event == "left":
            status.running.pop(item, None)
            status.waiting[item] = line["why"]
    if status.finished:
        status.running.clear()
    return worked_on


def _time_to_go(status: BuildStatus, worked_on: set[str], slowest: Stage) -> float | None:
    """As long for each source as it took so far; one that is under way counts by its share of the slowest stage."""
    stages = list(Stage)
    under_way = sum(
        share if stage == slowest else float(stages.index(Stage(stage)) > stages.index(slowest))
        for stage, share in status.running.values())
    through = len(worked_on) + under_way
    if through <= 0:
        return None
    return status.ran_s / through * (status.left + len(status.running) - under_way)
