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

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from pipeline.source_addresses import AddressNotAllowedError, Kind, kind_of, shown_address, youtube_address
from schemas.records import Source, SubtitleFile

VIDEO_SUFFIXES = frozenset(
    (
        ".3gp .asf .avi .divx .f4v .flv .m2ts .m4a .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogm .ogv .ts .vob .webm "
        ".wmv"
    ).split()
)
"""Files of a folder that are taken to be videos. A file that is named itself may be called anything."""
LIST_SUFFIXES = frozenset({".txt", ".csv", ".jsonl", ".parquet"})
SUBTITLE_SUFFIXES = (".srt", ".vtt", ".json3")


class SourceError(Exception):
    """A source that does not exist or a list that cannot be read; nothing has been done yet."""


class ListEntry(BaseModel):
    """A line of a list of sources.

    A list in the manner of CinePile names a YouTube id or link, a film and a year instead of source and title.
    """

    model_config = ConfigDict(extra="ignore")

    source: Annotated[str, Field(pattern=r"^[^\x00]+$", validation_alias=AliasChoices(
        "source", "path", "video", "file", "url", "yt_clip_link"))]
    title: Annotated[str | None, Field(validation_alias=AliasChoices("title", "yt_clip_title"))] = None
    domain: Annotated[str | None, Field(validation_alias=AliasChoices("domain", "genre"))] = None
    language: str | None = None
    license: Annotated[str | None, Field(validation_alias=AliasChoices("license", "licence"))] = None
    uploader: str | None = None
    published: date | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_film_list(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        video = values.get("youtube_id") or values.get("videoID")
        if video and not values.get("source"):
            values["source"] = youtube_address(str(video))
        film = values.get("film") or values.get("movie_name")
        if film and not values.get("title"):
            values["title"] = f"{film} ({values['year']})" if values.get("year") else str(film)
        return values


def find_sources(names: Sequence[str]) -> list[Source]:
    """All videos that names on a command line stand for, each path once, sorted by how the output calls them.

    Args:
        names: addresses (http, https, s3, gs, hf), video files, folders (searched through), or lists: .txt with
            a name a line, .csv with a header, .jsonl, .parquet. Paths in a list are relative to the list. A file:
            URL stands for its path.

    Raises:
        SourceError: a name does not exist, a list is broken, or nothing was named.
    """
    found: dict[str, Source] = {}
    for name in names:
        for source in _expand(name):
            found.setdefault(source.url or os.path.realpath(source.path), source)
    if not found:
        raise SourceError(f"no video in {', '.join(map(repr, names)) or 'an empty list of sources'}")
    return sorted(found.values(), key=lambda source: (source.source, source.path))


def read_entries(path: Path, suffix: str) -> Iterator[tuple[int, ListEntry]]:
    """The entries of a list with the numbers of their lines.

    Args:
        path: the list.
        suffix: one of `LIST_SUFFIXES`, which says how to read it.

    Raises:
        ValueError: the list is broken; the message says where.
        OSError: it cannot be read.
    """
    is_table = suffix == ".parquet"
    for number, values in _rows(path) if is_table else _lines(suffix, path.read_bytes().decode("utf-8-sig")):
        yield number, _entry(number, values)


def _expand(name: str) -> Iterator[Source]:
    try:
        kind = kind_of(name)
    except AddressNotAllowedError as error:
        raise SourceError(f"{name}: {error}") from error
    if kind is not Kind.PATH:
        yield Source(path="", source=shown_address(name), url=name)
        return
    path = _path(name)
    if path.is_dir():
        yield from _folder(path)
    elif not path.exists():
        raise SourceError(f"{name}: no such file or folder{_suggestion(path)}")
    elif path.suffix.lower() in LIST_SUFFIXES:
        yield from _list(path)
    else:
        yield _local(path, _said(path.name), {})


def _path(name: str) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(name.removeprefix("file://"))) if name.startswith("file:///") else name)


def _folder(folder: Path) -> Iterator[Source]:
    beside: dict[Path, list[str]] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                path = Path(parent, name)
                yield _local(path, _said(path.relative_to(folder).as_posix()), beside)


def _list(path: Path) -> Iterator[Source]:
    beside: dict[Path, list[str]] = {}
    number = 0
    try:
        for at, entry in read_entries(path, path.suffix.lower()):
            number = at
            said = entry.model_dump(exclude={"source"})
            if kind_of(entry.source) is not Kind.PATH:
                yield Source(path="", source=shown_address(entry.source), url=entry.source, **said)
                continue
            yield _local(path.parent / _path(entry.source), _said(_inside(entry.source)), beside, **said)
    except AddressNotAllowedError as error:
        raise SourceError(f"{path}: line {number}: {error}") from error
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{path}: {error}") from error


def _local(path: Path, name: str, beside: dict[Path, list[str]], **said: Any) -> Source:
    """A file that is here, with the subtitles that lie beside it: film.srt or film.en.vtt for film.mp4.

    `beside` remembers what lies in a folder, so that a folder of many videos is listed once.
    """
    if path.parent not in beside:
        beside[path.parent] = sorted(
            name for name in os.listdir(path.parent) if name.lower().endswith(SUBTITLE_SUFFIXES)
        ) if path.parent.is_dir() else []
    found = [one for one in beside[path.parent] if one.startswith(f"{path.stem}.")]
    subtitles = tuple(
        SubtitleFile(path=str((path.parent / one).absolute()), language=_language(one, path.stem), auto=False)
        for one in found if one.count(".") - path.stem.count(".") <= 2)
    return Source(path=str(path.absolute()), source=name, subtitle_files=subtitles, **said)


def _language(name: str, stem: str) -> str | None:
    """The `en` of film.en.vtt."""
    return _said(name.removeprefix(stem).rpartition(".")[0].strip(".")) or None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a Parquet list."""
    try:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield number, {key: value for key, value in row.items() if value is not None}
    except pa.ArrowException as error:
        raise ValueError(f"no Parquet file: {error}") from error


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
