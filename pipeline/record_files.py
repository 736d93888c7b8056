"""Records in files: lists of dataclasses as JSON, checked against their types when read back."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

Record = TypeVar("Record")


def write_records(path: Path, kind: type[Record], records: list[Record]) -> None:
    """Write records of one kind as a JSON array."""
    path.write_bytes(TypeAdapter(list[kind]).dump_json(records))


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read what `write_records` wrote.

    Raises:
        pydantic.ValidationError: the file holds something else.
    """
    return TypeAdapter(list[kind]).validate_json(path.read_bytes())
