"""The Parquet files of data sets, checked before anything is read from them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.tables import SCHEMA_VERSION, TABLES


class ShardError(Exception):
    """A data set or one of its files cannot be used; the message says what to do."""


def holds_data_set(root: Path) -> bool:
    """Whether a folder holds a finished data set: a manifest, which a build writes last."""
    return (root / "manifest.json").is_file()


def table_files(root: Path, table: str) -> list[Path]:
    """The files of a table in the order of their names.

    Raises:
        ShardError: there is none.
    """
    files = sorted((root / "data" / table).glob("*.parquet"))
    if not files:
        raise ShardError(f"{root} has no table {table!r} under data/: build or import it again")
    return files


def open_table(path: Path, table: str) -> pq.ParquetFile:
    """Open a file of a table.

    Raises:
        ShardError: it is damaged, or its columns are not those of the table.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path} is damaged, truncated or no Parquet: {error}; build or import it again") from error
    found = file.schema_arrow
    version = (found.metadata or {}).get(b"vico_schema_version", b"").decode()
    if version != SCHEMA_VERSION:
        raise ShardError(f"{path} has schema version {version or 'none'}, this is version {SCHEMA_VERSION}: build or "
                         "import it again with this version")
    for column in TABLES[table]:
        if column.name not in found.names or found.field(column.name).type != column.type:
            here = found.field(column.name).type if column.name in found.names else "not there"
            raise ShardError(f"{path}: column {column.name!r} of {table!r} should be {column.type} but is {here}")
    return file


def read_group(file: pq.ParquetFile, path: Path, group: int, columns: list[str]) -> pa.Table:
    """One row group. In one thread: a process that was forked must not wait for another one's.

    Raises:
        ShardError: its pages are damaged.
    """
    try:
        return file.read_row_group(group, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path}, row group {group}, cannot be read: {error}; build or import it again") from error
