"""Records in files: lists of dataclasses as JSON, checked against their types when read back."""

import functools
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

Record = TypeVar("Record")


def write_records(path: Path, kind: type[Record], records: list[Record]) -> None:
    """Write records of one kind as a JSON array."""
    path.write_bytes(_list_of(kind).dump_json(records))


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read what `write_records` wrote.

    Raises:
        pydantic.ValidationError: the file holds something else.
    """
    return _list_of(kind).validate_json(path.read_bytes())


@functools.cache
def _list_of(kind: type[Record]) -> TypeAdapter[list[Record]]:
    """Made once for a kind: making it takes longer than reading a small file."""
    return TypeAdapter(list[kind])
