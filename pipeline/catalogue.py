"""What a data set is made of: every source of every build of an output, and the videos that are kept out of it.

    OUT/.work/catalogue.jsonl   a source a line, with the id of its video where that is known
    OUT/.work/forgotten.json    ids of videos that were taken out

A build works on what it is told and on what is listed here, so a data set grows by naming what is new. The addresses
may hold secrets: only the owner may read the catalogue.
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
    path = work / "catalogue.jsonl"
    lines = path.read_bytes().splitlines() if path.is_file() else []
    known = [_LINE.validate_python(json.loads(line)) for line in lines]
    return Catalogue(
        {address(source): source for source, _ in known},
        {address(source): video_id for source, video_id in known if video_id},
        frozenset(_read_forgotten(work)))


def write_catalogue(work: Path, sources: Iterable[Source], video_ids: Mapping[str, str]) -> None:
    """Remember the sources of an output, and the ids of their videos by address."""
    # json, not pydantic: a file name may be any bytes, which only escapes can hold.
    lines = [json.dumps(_LINE.dump_python((source, video_ids.get(address(source))), mode="json")) + "\n"
             for source in sources]
    write_file(work / "catalogue.jsonl", "".join(lines).encode(), mode=0o600)


def forget(work: Path, video_ids: Iterable[str]) -> None:
    """Keep videos out of an output from now on."""
    ids = sorted({*_read_forgotten(work), *video_ids})
    write_file(work / "forgotten.json", json.dumps(ids).encode())


def _read_forgotten(work: Path) -> list[str]:
    path = work / "forgotten.json"
    return json.loads(path.read_bytes()) if path.is_file() else []
