"""SQL from people, answered by a DuckDB that can do nothing but read the tables.

Every query has a database of its own that is thrown away. DuckDB may open no file at all: Arrow reads the shards and
hands DuckDB the columns. (Views over the files would need the shards' folder opened to DuckDB, and what it may read
it may also write: `WITH x AS (COPY … TO …) SELECT` passes for a SELECT.)
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset

from schemas.tables import TABLES

MOST_ROWS = 500
_LONGEST_S = 30.0
_LONGEST_CELL = 2000
_BOLTS = (
    "autoinstall_known_extensions = false", "autoload_known_extensions = false", "python_enable_replacements = false",
    "max_temp_directory_size = '0B'", "memory_limit = '4GB'", "enable_external_access = false",
    "lock_configuration = true",
)


class SqlNotAllowedError(Exception):
    """The statement is not a single SELECT; the message says so."""


class LockedSql:
    """The tables of a data set, to be asked in SQL and not changed.

    Args:
        folder: the data set.
    """

    def __init__(self, folder: Path) -> None:
        self._tables = {
            table: pyarrow.dataset.dataset(folder / "data" / table, format="parquet", schema=schema)
            for table, schema in TABLES.items()}

    def answer(self, sql: str) -> dict[str, Any]:
        """The first rows of a query, pictures told by their size.

        Raises:
            SqlNotAllowedError: it is not one SELECT.
            duckdb.Error: it is wrong, not allowed, or takes longer than half a minute.
        """
        with self._open() as connection:
            statements = connection.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise SqlNotAllowedError("one SELECT at a time, and nothing else: the data set is only read here")
            connection.execute("BEGIN TRANSACTION READ ONLY")
            with _stopped_after(connection, _LONGEST_S):
                connection.execute(statements[0])
                rows = connection.fetchmany(MOST_ROWS + 1)
            return {
                "columns": [column[0] for column in connection.description],
                "rows": [[_shown(value) for value in row] for row in rows[:MOST_ROWS]],
                "more": len(rows) > MOST_ROWS,
            }

    def _open(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        for table, rows in self._tables.items():
            connection.register(table, rows)
        for setting in _BOLTS:
            connection.execute(f"SET {setting}")
        return connection


@contextmanager
def _stopped_after(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shown(value: Any) -> Any:
    """A cell as JSON can hold it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {str(key): _shown(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(part) for part in value]
    text = str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
