"""From what a person names (files, folders, lists) to the videos to work on."""

import csv
import difflib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path, PurePath
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from schemas.records import Source

VIDEO_SUFFIXES = frozenset(
    (
        ".3gp .asf .avi .divx .f4v .flv .m2ts .m4a .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogm .ogv .ts .vob .webm "
        ".wmv"
    ).split()
)
"""Files of a folder that are taken to be videos. A file that is named itself may be called anything."""
LIST_SUFFIXES = frozenset({".txt", ".csv", ".jsonl"})


class SourceError(Exception):
    """A source that does not exist or a list that cannot be read; nothing has been done yet."""


class ListEntry(BaseModel):
    """A line of a list of sources."""

    model_config = ConfigDict(extra="ignore")

    source: Annotated[str, Field(
        pattern=r"^[^\x00]+$", validation_alias=AliasChoices("source", "path", "video", "file"))]
    title: str | None = None
    domain: str | None = None
    language: str | None = None
    license: Annotated[str | None, Field(validation_alias=AliasChoices("license", "licence"))] = None
    uploader: str | None = None
    published: date | None = None


def find_sources(names: Sequence[str]) -> list[Source]:
    """All videos that names on a command line stand for, each path once, sorted by how the output calls them.

    Args:
        names: video files, folders (searched through), or lists: .txt with a path a line, .csv with a
            header, .jsonl. Paths in a list are relative to the list. A file: URL stands for its path.

    Raises:
        SourceError: a name does not exist, a list is broken, or nothing was named.
    """
    found: dict[str, Source] = {}
    for name in names:
        for source in _expand(name):
            found.setdefault(os.path.realpath(source.path), source)
    if not found:
        raise SourceError(f"no video in {', '.join(map(repr, names)) or 'an empty list of sources'}")
    return sorted(found.values(), key=lambda source: (source.source, source.path))


def _expand(name: str) -> Iterator[Source]:
    if name.startswith("file:///"):
        name = os.fsdecode(unquote_to_bytes(name.removeprefix("file://")))
    elif "://" in name:
        raise SourceError(f"{name}: only files, folders and lists of files can be read; fetch it first")
    path = Path(name)
    if path.is_dir():
        yield from _folder(path)
    elif not path.exists():
        raise SourceError(f"{name}: no such file or folder{_suggestion(path)}")
    elif path.suffix.lower() in LIST_SUFFIXES:
        yield from _list(path)
    else:
        yield Source(path=str(path.absolute()), source=_said(path.name))


def _folder(folder: Path) -> Iterator[Source]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                path = Path(parent, name)
                yield Source(path=str(path.absolute()), source=_said(path.relative_to(folder).as_posix()))


def _list(path: Path) -> Iterator[Source]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        for number, values in _lines(path.suffix.lower(), text):
            entry = _entry(number, values)
            target = path.parent / entry.source
            said = entry.model_dump(exclude={"source"})
            yield Source(path=str(target.absolute()), source=_said(_inside(entry.source)), **said)
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{path}: {error}") from error


def _entry(number: int, values: Any) -> ListEntry:
    try:
        return ListEntry.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ValueError(f"line {number}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error


def _lines(suffix: str, text: str) -> Iterable[tuple[int, dict[str, Any]]]:
    if suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        # An empty cell says nothing; it is not an empty title.
        yield from ((reader.line_num, {key: value for key, value in row.items() if value and key}) for row in reader)
        return
    # Only line feeds end a line: str.splitlines would cut titles at the separators of Unicode.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not (suffix == ".txt" and line.startswith("#")):
            yield number, _json_line(number, line) if suffix == ".jsonl" else {"source": line.strip()}


def _json_line(number: int, line: str) -> Any:
    try:
        return from_json(line)  # unlike json.loads it refuses half characters, which no table can hold
    except ValueError as error:
        raise ValueError(f"line {number} is not JSON: {error}") from error


def _inside(entry: str) -> str:
    """How the output calls a list's entry: its path when it lies under the list, else its file name alone."""
    path = PurePath(entry)
    return path.name if path.is_absolute() or ".." in path.parts else path.as_posix()


def _said(name: str) -> str:
    """A file name as text that every file format can hold, even where it is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _suggestion(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder {path.parent})"
    close = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""
