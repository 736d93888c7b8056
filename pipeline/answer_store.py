"""Answers of model servers, each under the key of its request: what was paid for is never paid twice.

A folder of segments, one per run and process, so that several may write. A line is `{key} {crc32} {json}`; it is
appended and on the disk before its asker sees the answer. A line that a crash cut short fails its checksum and
counts as never written.

Folders below it hold files of the same form that several machines agreed upon (`pipeline.shared_answers`): those count
more than segments.
"""

import asyncio
import json
import os
import queue
import secrets
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pipeline.work_store import flush_folder, write_file

_KEY_LENGTH = 32


class AnswersMissingError(Exception):
    """A folder that should hold answers holds none."""


class AnswerStore:
    """Finds and keeps answers. Finding is for any thread; keeping never waits for other requests."""

    def __init__(self, folder: Path, read_only: Sequence[Path] = ()) -> None:
        """Read what is there.

        Args:
            folder: where answers are kept, made when the first one comes.
            read_only: more folders to find answers in, or data sets that hold such folders.

        Raises:
            AnswersMissingError: a read-only folder has no answers.
        """
        self._folder = folder
        self._places: dict[str, tuple[Path, int, int]] = {}
        for other in read_only:
            self._index(answers_in(other))
        self.own_keys: set[str] = set(self._index(folder))
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[str, bytes, Future[None]] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._places)

    def find(self, key: str) -> dict[str, Any] | None:
        """The stored record, or None."""
        place = self._places.get(key)
        if place is None:
            return None
        path, offset, length = place
        # Not kept open: there are three files for each video of a build by several machines.
        with path.open("rb", buffering=0) as file:
            return json.loads(os.pread(file.fileno(), length, offset))

    async def keep(self, key: str, record: dict[str, Any]) -> None:
        """Store a record; returns when the disk holds it.

        Raises:
            OSError: it cannot be written; the next one is tried anew.
        """
        text = _text(record)
        stored: Future[None] = Future()
        stored.set_running_or_notify_cancel()  # who asked may go away: then the writer must not stumble over it
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="answer-store", daemon=True)
                self._writer.start()
        self._queue.put((key, text, stored))
        await asyncio.wrap_future(stored)

    def adopt(self, name: str, lines: bytes) -> None:
        """Take in the lines of another store; they count more than what is here.

        Args:
            name: of the file, in a folder of its own.
            lines: what it holds.
        """
        path = self._folder / name
        if not path.is_file():
            write_file(path, lines)
        for key, offset, length in _whole_lines(path):
            self._places[key] = (path, offset, length)
            self.own_keys.add(key)

    def lines_of(self, keys: Iterable[str]) -> bytes:
        """The stored records of some keys, as `adopt` takes them."""
        found = ((key, self.find(key)) for key in sorted(keys))
        return b"".join(_line(key, _text(record)) for key, record in found if record is not None)

    def close(self) -> None:
        """Finish writing."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()

    def _write(self) -> None:
        """The writing thread: whatever has come meanwhile goes to the disk with one flush."""
        segment: tuple[Path, int] | None = None
        end, going_on = 0, True
        while going_on:
            batch, going_on = self._next_batch()
            lines = [_line(key, text) for key, text, _ in batch]
            try:
                path, handle = segment = segment or _new_segment(self._folder)
                _write_at(handle, b"".join(lines), end)  # over what a batch that failed has left
                os.fdatasync(handle)
            except Exception as error:  # those who asked would wait for ever
                for _, _, stored in batch:
                    stored.set_exception(error)
                continue
            for (key, text, stored), line in zip(batch, lines, strict=True):
                self._places[key] = (path, end + len(line) - len(text) - 1, len(text))
                self.own_keys.add(key)
                end += len(line)
                stored.set_result(None)
        if segment is not None:
            os.close(segment[1])

    def _next_batch(self) -> tuple[list[tuple[str, bytes, Future[None]]], bool]:
        item = self._queue.get()
        batch = []
        while item is not None:
            batch.append(item)
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _index(self, folder: Path) -> list[str]:
        found = []
        for path in sorted(folder.rglob("*.answers"), key=lambda path: _age(folder, path)):
            for key, offset, length in _whole_lines(path):
                self._places[key] = (path, offset, length)
                found.append(key)
        return found


def _age(folder: Path, path: Path) -> tuple[bool, int, str]:
    """What orders files so that each replaces what is found in those before: the newer ones, and those in folders."""
    return path.parent != folder, path.stat().st_mtime_ns, path.name


def answers_in(folder: Path) -> Path:
    """The folder itself, or that of the answers of a data set.

    Raises:
        AnswersMissingError: neither holds any.
    """
    for place in (folder, folder / "answers", folder / ".work" / "answers"):
        if any(place.glob("*.answers")) or any(place.glob("*/*.answers")):
            return place
    raise AnswersMissingError(f"{folder} holds no stored answers; name the output folder of a build, or its "
                              ".work/answers")


def _text(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode()


def _line(key: str, text: bytes) -> bytes:
    return b"%s %08x %s\n" % (key.encode(), zlib.crc32(text), text)


def _whole_lines(path: Path) -> Iterator[tuple[str, int, int]]:
    """Key, offset and length of every record that is there whole."""
    offset = 0
    with path.open("rb") as lines:
        for line in lines:
            text = line[_KEY_LENGTH + 10:-1]
            if line.endswith(b"\n") and line[_KEY_LENGTH + 1:_KEY_LENGTH + 9] == b"%08x" % zlib.crc32(text):
                yield line[:_KEY_LENGTH].decode(), offset + _KEY_LENGTH + 10, len(text)
            offset += len(line)


def _new_segment(folder: Path) -> tuple[Path, int]:
    """A file of its own for one process, open for writing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{secrets.token_hex(8)}.answers"
    path.touch(exist_ok=False)
    flush_folder(folder)
    return path, os.open(path, os.O_WRONLY)


def _write_at(handle: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(handle, data, offset)
        data, offset = data[written:], offset + written
