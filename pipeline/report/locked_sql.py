"""SQL from people, answered by a DuckDB that can do nothing but read the shards.

Every bolt holds alone: only a single SELECT is run; files outside the shards, extensions and the network are out of
its reach; no setting can be changed back.
"""

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipeline.report.report_rows import open_report

MOST_ROWS = 500
_LONGEST_S = 30.0
_LONGEST_CELL = 2000


class SqlNotAllowedError(Exception):
    """The statement is not a single SELECT; the message says so."""


def open_locked(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection with the views of `open_report` that reads the shards of `folder` and touches nothing else."""
    connection = open_report(folder)
    data = str(folder.absolute() / "data").replace("'", "''")
    for setting in (
        "autoinstall_known_extensions = false", "autoload_known_extensions = false",
        "python_enable_replacements = false", "max_temp_directory_size = '0B'", "memory_limit = '4GB'",
        f"allowed_directories = ['{data}']", "enable_external_access = false", "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def answer_sql(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """The first rows of a query, pictures told by their size.

    Args:
        connection: from `open_locked`.
        sql: one SELECT.

    Raises:
        SqlNotAllowedError: it is something else.
        duckdb.Error: it is wrong, not allowed, or takes longer than half a minute.
    """
    statements = connection.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise SqlNotAllowedError("one SELECT at a time, and nothing else: the data set is only read here")
    cursor = connection.cursor()
    with _stopped_after(cursor, _LONGEST_S):
        cursor.execute(statements[0])
        rows = cursor.fetchmany(MOST_ROWS + 1)
    return {
        "columns": [column[0] for column in cursor.description],
        "rows": [[_shown(value) for value in row] for row in rows[:MOST_ROWS]],
        "more": len(rows) > MOST_ROWS,
    }


@contextmanager
def _stopped_after(cursor: duckdb.DuckDBPyConnection, seconds: float):
    timer = threading.Timer(seconds, cursor.interrupt)
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
