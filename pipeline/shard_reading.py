"""Rows of a data set's tables, a shard at a time, so that memory does not grow with the data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def read_rows(data: Path, table: str, columns: Sequence[str], split: str = "*") -> Iterator[dict[str, Any]]:
    """The rows of a table in the order of its shards.

    Args:
        data: the folder of tables.
        table: which one.
        columns: what to read of it.
        split: rows of this split only; `*` for all.
    """
    for path in sorted((data / table).glob(f"{split}-*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(columns=list(columns)):
            yield from batch.to_pylist()
