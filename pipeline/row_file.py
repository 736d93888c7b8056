"""Parquet files written a few megabytes at a time, so that memory does not grow with a video's length."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_FLUSH_BYTES = 8 << 20


class RowFile:
    """A file to which rows are added."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        # Nearly all of it is JPEG, which compresses no further; the shards made of it are compressed.
        self._writer = pq.ParquetWriter(path, schema, compression="none")
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, rows: Iterable[dict[str, Any]], picture_bytes: int = 0) -> None:
        """Add rows that hold so many bytes of pictures."""
        self._rows.extend(rows)
        self._bytes += picture_bytes
        if self._bytes > _FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left and end the file."""
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._bytes = [], 0
