"""The answers of a task, kept as they come, so that a stopped evaluation goes on.

    OUT/{task}/settings.json           what the answers depend on
    OUT/{task}/answers/rank-000.jsonl  a line an answer, those of one video written together
    OUT/{task}/answers.parquet         all of them, when all are there
    OUT/{task}/results.json            the figures
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from fcntl import LOCK_EX, LOCK_NB, lockf
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.evaluation.task import AnswerRow

_TEXT, _WHOLE = pa.string(), pa.int64()
ANSWERS = pa.schema([
    ("task", _TEXT), ("question_id", _TEXT), ("video", _TEXT), ("prompt", _TEXT), ("options", pa.list_(_TEXT)),
    ("answer", _TEXT), ("format", _TEXT), ("attributes", pa.map_(_TEXT, _TEXT)), ("said", _TEXT), ("read", _TEXT),
    ("score", pa.float64()), ("frames", _WHOLE), ("positions", _WHOLE), ("ratio", _TEXT), ("method", _TEXT),
    ("policy", _TEXT), ("problem", _TEXT)])
"""Columns of answers.parquet: the fields of `AnswerRow`."""


class OtherSettingsError(Exception):
    """The folder holds answers that were given under other settings; the message says which differ."""


class AnswersInUseError(Exception):
    """Another process of the same rank writes there."""


class AnswerFiles:
    """The folder of one task.

    Args:
        folder: OUT/{task}.
        rank: of this process.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self.folder = folder
        self._answers = folder / "answers"
        self._mine = self._answers / f"rank-{rank:03d}.jsonl"
        # A file of its own: closing any other handle of a file lets go of a record lock on it.
        self._lock = self._answers / f".rank-{rank:03d}.lock"

    @contextmanager
    def writing(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Hold this rank's file for the time of the block; the kernel lets go of it however the process ends.

        Args:
            settings: what the answers depend on.

        Raises:
            OtherSettingsError, AnswersInUseError: nothing was written.
        """
        self._answers.mkdir(parents=True, exist_ok=True)
        self._check(settings)
        with self._lock.open("w") as lock:
            try:
                lockf(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError as error:
                raise AnswersInUseError(f"another process writes to {self._mine}: give each its own --rank") from error
            self._mine.touch()
            os.truncate(self._mine, _whole_lines(self._mine))
            yield

    def read(self) -> dict[str, AnswerRow]:
        """What all ranks have answered, by question."""
        rows = {}
        for file in sorted(self._answers.glob("rank-*.jsonl")):
            for line in file.read_bytes()[:_whole_lines(file)].splitlines():
                row = AnswerRow(**json.loads(line))
                rows[row.question_id] = row
        return rows

    def add(self, rows: Sequence[AnswerRow]) -> None:
        """Append answers; they are on the disk when this returns."""
        with self._mine.open("ab") as file:
            file.write(b"".join(json.dumps(asdict(row)).encode() + b"\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())

    def write_table(self, rows: Sequence[AnswerRow], settings: Mapping[str, Any]) -> None:
        """answers.parquet, with the settings in its metadata."""
        schema = ANSWERS.with_metadata({"settings": json.dumps(settings)})
        table = pa.Table.from_pylist([_as_columns(row) for row in rows], schema)
        partial = self.folder / f".answers.parquet.{os.getpid()}"
        pq.write_table(table, partial)
        os.replace(partial, self.folder / "answers.parquet")

    def write_json(self, name: str, value: Any) -> None:
        """A file that appears whole or not at all."""
        partial = self.folder / f".{name}.{os.getpid()}"
        partial.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(partial, self.folder / name)

    def _check(self, settings: Mapping[str, Any]) -> None:
        file = self.folder / "settings.json"
        if not file.is_file():
            self.write_json(file.name, settings)
        known = json.loads(file.read_text(encoding="utf-8"))
        differ = [name for name in sorted({*known, *settings}) if known.get(name) != settings.get(name)]
        if differ:
            words = ", ".join(f"{name} was {known.get(name)!r} and is {settings.get(name)!r}" for name in differ)
            raise OtherSettingsError(f"{self.folder} holds answers of other settings: {words}. Choose another --out.")


def _as_columns(row: AnswerRow) -> dict[str, Any]:
    return asdict(row) | {"attributes": list(row.attributes.items())}


def _whole_lines(file: Path) -> int:
    """Bytes up to the end of the last whole line: a process that was killed may have left half a one."""
    return file.read_bytes().rfind(b"\n") + 1
