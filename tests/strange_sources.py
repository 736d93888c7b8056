"""Videos under names, and with titles, that could do harm, in lists of every kind."""

import csv
import json
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tests.numbered_videos import write_numbered

IN_JSONL: list[dict[str, Any]] = [
    {"source": "it's \"the\" sample.mp4", "title": "Robert'); DROP TABLE videos; --", "domain": "film",
     "language": "en", "licence": "CC-BY-4.0", "uploader": "O'Neil <b>& \"friends\"</b>", "published": "2024-02-29"},
    {"path": "line\nbreak.mp4", "title": "two\nlines, a\u2028separator, a\u0085mark and a \u0000 byte"},
    {"video": "';DROP TABLE videos;--.mp4", "title": "../../../etc/passwd", "license": "${HOME} %s {source.title}"},
    {"file": "gone.mp4", "title": "not there any more"},
]
IN_CSV: list[dict[str, str]] = [
    {"source": "{source.source} %d $(touch harm).mp4", "title": 'says "hello, world"\nand goes on', "domain": "game",
     "language": "de", "licence": "", "uploader": "", "published": "1999-12-31"},
    {"source": "../outside.mp4", "title": "", "domain": "sport", "language": "", "licence": "PD", "uploader": "me",
     "published": ""},
]
IN_TXT = "-rf ~ 🎬.mp4"


@dataclass(frozen=True)
class StrangeBuild:
    """The data set, and the row of `videos` that each source must have: its columns from the list."""

    out: Path
    listed: dict[str, dict[str, Any]]
    said: str


def named_directly() -> str:
    """A file name that is not UTF-8."""
    return os.fsdecode(b"caf\xe9.mp4")


def write_strange_sources(folder: Path, sample: Path) -> dict[str, dict[str, Any]]:
    """Write the folder `work` with videos, lists and traps; returns what the lists say of each kept source."""
    work = folder / "work"
    work.mkdir()
    names = [_path(line) for line in IN_JSONL[1:3]] + [_path(line) for line in IN_CSV] + [IN_TXT, named_directly()]
    (work / _path(IN_JSONL[0])).hardlink_to(sample)
    for index, name in enumerate(names):
        short = folder / f"short-{index}.mp4"
        write_numbered(short, "constant", 60 + index, 320, 180)  # no two have the same bytes
        short.rename(work / name)
    _write_lists(work)
    for trap in ("model", "pipeline", "schemas", "flows"):
        (work / f"{trap}.py").write_text(f"raise RuntimeError('{trap}.py of the working folder was imported')\n")
    return _wanted()


def _path(line: dict[str, Any]) -> str:
    return next(line[name] for name in ("source", "path", "video", "file") if name in line)


def _write_lists(work: Path) -> None:
    lines = [json.dumps(line, ensure_ascii=False).replace("\x00", "\\u0000") for line in IN_JSONL]
    (work / "list.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (work / "list.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, IN_CSV[0])
        writer.writeheader()
        writer.writerows(IN_CSV)
    (work / "list.txt").write_text(f"# a comment\n\n{IN_TXT}\n", encoding="utf-8")


def _wanted() -> dict[str, dict[str, Any]]:
    nothing = dict.fromkeys(("title", "domain", "language", "license", "uploader", "published"))
    wanted = {IN_TXT: nothing, "caf\ufffd.mp4": nothing}
    for line in (*IN_JSONL, *IN_CSV):
        said = {name: line.get(name) or None for name in nothing} | {
            "license": line.get("license") or line.get("licence") or None,
            "published": date.fromisoformat(line["published"]) if line.get("published") else None}
        wanted[_path(line).removeprefix("../")] = said
    del wanted["gone.mp4"]
    return wanted
