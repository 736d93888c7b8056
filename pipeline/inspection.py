"""The command `inspect-vico`: DuckDB over a data set, a view per table already defined.

Exit codes: 0 done, 2 wrong call or wrong SQL.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

_WIDEST_CELL = 200
_LONGEST_TABLE = 200


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="inspect-vico", description="Look into a VICO data set with SQL.",
        epilog="Without --sql it reads queries from the terminal; DESCRIBE clips; lists columns.")
    parser.add_argument("dir", metavar="DIR", help="a folder that build-vico wrote")
    parser.add_argument("--sql", help="print the result of one query and end")
    parser.add_argument("--json", action="store_true", help="print results as JSON, a row a line")
    options = parser.parse_args(argv)
    if not Path(options.dir, "views.sql").is_file():
        print(f"inspect-vico: {options.dir} holds no finished data set (no views.sql); "
              "run build-vico with --out there first", file=sys.stderr)
        return 2
    with open_data_set(Path(options.dir)) as connection:
        if options.sql is not None:
            return _answer(connection, options.sql, options.json)
        return _converse(connection, options.json)


def open_data_set(folder: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the views of a data set.

    The views name their files relative to the data set, so the process moves into its folder.
    """
    os.chdir(folder)
    connection = duckdb.connect()
    connection.execute(Path("views.sql").read_text(encoding="utf-8"))
    return connection


def _answer(connection: duckdb.DuckDBPyConnection, sql: str, as_json: bool) -> int:
    try:
        result = connection.execute(sql)
        if result.description:
            _print(result, as_json)
    except duckdb.Error as error:
        print(f"inspect-vico: {error}", file=sys.stderr)
        return 2
    return 0


def _converse(connection: duckdb.DuckDBPyConnection, as_json: bool) -> int:
    if sys.stdin.isatty():
        importlib.import_module("readline")  # gives input() its line editing
        counts = ", ".join(f"{table} ({connection.execute(f'SELECT count(*) FROM {table}').fetchone()[0]:,})"
                           for (table,) in connection.execute("SHOW TABLES").fetchall())
        print(f"tables: {counts}\nend a query with ;   leave with Ctrl-D")
    lines: list[str] = []
    while True:
        try:
            line = input(("vico> " if not lines else "  ... ") if sys.stdin.isatty() else "")
        except EOFError:
            return _answer(connection, "\n".join(lines), as_json) if lines else 0
        lines.append(line)
        if line.rstrip().endswith(";"):
            _answer(connection, "\n".join(lines), as_json)
            lines = []


def _print(result: duckdb.DuckDBPyConnection, as_json: bool) -> None:
    columns = [column[0] for column in result.description]
    if as_json:
        while rows := result.fetchmany(1000):
            for row in rows:
                print(json.dumps(dict(zip(columns, row, strict=True)), default=_plain, ensure_ascii=False))
        return
    table = Table(*columns, show_edge=False)
    rows = result.fetchmany(_LONGEST_TABLE + 1)
    for row in rows[:_LONGEST_TABLE]:
        table.add_row(*(_cell(value) for value in row))
    console = Console(markup=False, highlight=False)
    console.print(table)
    if len(rows) > _LONGEST_TABLE:
        console.print(f"only the first {_LONGEST_TABLE} rows are shown; add LIMIT, or --json for all")


def _plain(value: Any) -> Any:
    """What JSON has no form for: bytes are told by their number, times by their text."""
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def _cell(value: Any) -> str:
    text = _plain(value) if isinstance(value, bytes) else "" if value is None else str(_without_bytes(value))
    return text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 1] + "…"


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_bytes(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_bytes(part) for part in value]
    return _plain(value) if isinstance(value, bytes) else value


