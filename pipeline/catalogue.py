"""What a data set is made of: every source of every build of an output, and the videos that are kept out of it.

    OUT/.work/catalogue.jsonl   a source a line, with the id of its video where that is known
    OUT/.work/under_way.jsonl   the sources of a build that has not come to its end
    OUT/.work/forgotten.json    ids of videos that were taken out

A build works on what it is told and on what is listed here, so a data set grows by naming what is new. The addresses
may hold secrets: only the owner may read them.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.work_store import write_file
from schemas.records import Source

_LINE = TypeAdapter(tuple[Source, str | None])


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The sources of earlier builds by their address, with their videos' ids, and the ids that are kept out."""

    sources: Mapping[str, Source]
    video_ids: Mapping[str, str]
    forgotten: frozenset[str]

    def with_new(self, found: Sequence[Source]) -> list[Source]:
        """All sources: what is named now, in the place of what was known under the same address, and the rest.

        Sources of forgotten videos are left out.
        """
        sources = {**self.sources, **{address(source): source for source in found}}
        kept = [source for where, source in sources.items() if self.video_ids.get(where) not in self.forgotten]
        return sorted(kept, key=lambda source: (source.source, source.path))


def address(source: Source) -> str:
    """What a source is known by: its URL, or the path of its file."""
    return source.url or os.path.realpath(source.path)


def read_catalogue(work: Path) -> Catalogue:
    """The catalogue of an output; empty for a new one.

    Args:
        work: the folder OUT/.work.
    """
    known = _read_lines(work / "catalogue.jsonl")
    return Catalogue(
        {address(source): source for source, _ in known},
        {address(source): video_id for source, video_id in known if video_id},
        frozenset(_read_forgotten(work)))


def write_catalogue(work: Path, sources: Iterable[Source], video_ids: Mapping[str, str]) -> None:
    """Remember the sources of an output, and the ids of their videos by address: none is under way any more."""
    _write_lines(work / "catalogue.jsonl", [(source, video_ids.get(address(source))) for source in sources])
    (work / "under_way.jsonl").unlink(missing_ok=True)


def read_under_way(work: Path) -> list[Source]:
    """What the last build was told to add, where it has not come to its end."""
    return [source for source, _ in _read_lines(work / "under_way.jsonl")]


def write_under_way(work: Path, sources: Iterable[Source]) -> None:
    """Remember what a build is told to add, so that the next one need not be told again."""
    _write_lines(work / "under_way.jsonl", [(source, None) for source in sources])


def _read_lines(path: Path) -> list[tuple[Source, str | None]]:
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [_LINE.validate_python(json.loads(line)) for line in lines]


def _write_lines(path: Path, lines: Iterable[tuple[Source, str | None]]) -> None:
    # json, not pydantic: a file name may be any bytes, which only escapes can hold.
    text = "".join(json.dumps(_LINE.dump_python(line, mode="json")) + "\n" for line in lines)
    write_file(path, text.encode(), mode=0o600)


def forget(work: Path, video_ids: Iterable[str]) -> None:
    """Keep videos out of an output from now on."""
    ids = sorted({*_read_forgotten(work), *video_ids})
    write_file(work / "forgotten.json", json.dumps(ids).encode())


def _read_forgotten(work: Path) -> list[str]:
    path = work / "forgotten.json"
    return json.loads(path.read_bytes()) if path.is_file() else []
