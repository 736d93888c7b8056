"""The command `inspect-vico`: DuckDB over a data set, a view per table already defined.

Exit codes: 0 done, 2 wrong call or wrong SQL.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from pipeline.inspection_examples import EXAMPLES
from pipeline.open_data_set import open_data_set
from pipeline.published_set import NoDataSetError
from pipeline.sample_sheet import NoSuchSampleError, write_sample_sheet
from pipeline.shared_files import NoSuchStoreError
from schemas.tables import COMMENTS, TABLES

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
        epilog="Without --sql, --examples or --sample it reads queries from the terminal; `help` lists what else it "
               "understands there.")
    parser.add_argument("dir", metavar="DIR", help="a folder that build-vico wrote, or an address like s3://bucket/set")
    parser.add_argument("--sql", help="print the result of one query and end")
    parser.add_argument("--json", action="store_true", help="print results as JSON, a row a line")
    parser.add_argument("--examples", action="store_true", help="answer a dozen ready questions about the data set")
    parser.add_argument("--sample", metavar="ID", help="print one sample, by its id or the start of it, and write its "
                                                       "frames into an image file")
    parser.add_argument("--picture", metavar="FILE", help="that file (default: sample-ID.png in this folder)")
    options = parser.parse_args(argv)
    try:
        if options.sample is not None:
            return _show_sample(options.dir, options.sample, options.picture)
        with open_data_set(options.dir) as connection:
            if options.sql is not None:
                return _answer(connection, options.sql, options.json)
            if options.examples:
                return _answer_examples(connection, options.json)
            return Shell(connection, options.dir, options.json).converse()
    except (NoDataSetError, NoSuchStoreError) as error:
        print(f"inspect-vico: {error}", file=sys.stderr)
        return 2


def _answer(connection: duckdb.DuckDBPyConnection, sql: str, as_json: bool) -> int:
    try:
        result = _execute(connection, sql)
        if result.description:
            _print(result, as_json)
    except duckdb.Error as error:
        print(f"inspect-vico: {error}", file=sys.stderr)
        return 2
    return 0


def _execute(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    """Run a query in another thread: while DuckDB works, this one would not hear Ctrl-C."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(connection.execute, sql)
        try:
            return asked.result()
        except KeyboardInterrupt:
            while not asked.done():  # a query that has not begun yet does not notice
                connection.interrupt()
                wait([asked], timeout=0.1)
            raise


def _answer_examples(connection: duckdb.DuckDBPyConnection, as_json: bool) -> int:
    """Each with its question and its SQL, to be copied and changed."""
    codes = []
    for question, sql in EXAMPLES.items():
        if not as_json:
            print(f"\n-- {question}\n{sql}\n")
        codes.append(_answer(connection, sql, as_json))
    return max(codes)


def _show_sample(folder: str, sample_id: str, picture: str | None) -> int:
    try:
        words, path = write_sample_sheet(folder, sample_id, Path(picture) if picture else None)
    except NoSuchSampleError as error:
        print(f"inspect-vico: {error}", file=sys.stderr)
        return 2
    print(words)
    print(f"\nits frames: {path}" if path else "\nits frames are not part of this data set")
    return 0


class Shell:
    """The prompt: queries that end with `;`, and a few words that are commands when they stand alone on a line."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: str, as_json: bool) -> None:
        self._connection, self._folder, self._as_json = connection, folder, as_json

    def converse(self) -> int:
        """Answer line after line until there are no more."""
        if sys.stdin.isatty():
            self._welcome()
        lines: list[str] = []
        while True:
            try:
                line = input(("vico> " if not lines else "  ... ") if sys.stdin.isatty() else "")
                if not lines and self._command(line.strip().rstrip(";")):
                    continue
                lines.append(line)
                if line.rstrip().endswith(";"):
                    _answer(self._connection, "\n".join(lines), self._as_json)
                    lines = []
            except EOFError:
                return _answer(self._connection, "\n".join(lines), self._as_json) if lines else 0
            except KeyboardInterrupt:  # drops what is being typed, or asked
                if not sys.stdin.isatty():
                    raise
                print()
                lines = []

    def _welcome(self) -> None:
        readline = importlib.import_module("readline")  # gives input() its line editing
        words = [*TABLES, *(name for schema in TABLES.values() for name in schema.names),
                 "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "sample", "columns", "examples", "help"]

        def complete(start: str, number: int) -> str | None:
            fitting = sorted({word for word in words if word.lower().startswith(start.lower())})
            return fitting[number] if number < len(fitting) else None

        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")
        print("\n".join([*self._tables(), "", "End a query with ;   `help` says what else there is.   "
                                              "Leave with Ctrl-D."]))

    def _tables(self) -> list[str]:
        counts = {table: self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
        return [f"{counts[table]:>10,}  {table:<11} {comment}" for table, comment in COMMENTS.items()]

    def _command(self, line: str) -> bool:
        """Whether the line was a command."""
        word, _, argument = line.partition(" ")
        if (word, argument) == ("help", ""):
            print("tables            the tables and their rows\n"
                  "columns TABLE     its columns, each with what it holds\n"
                  "examples          ready questions, answered\n"
                  "sample ID         one sample and an image file of its frames; the start of an id will do\n"
                  "SELECT … ;        any SQL that DuckDB understands, over any number of lines\n"
                  "exit              or Ctrl-D; Ctrl-C drops a query")
        elif line in ("exit", "quit"):
            raise EOFError
        elif (word, argument) == ("tables", ""):
            print("\n".join(self._tables()))
        elif word == "columns" and argument not in TABLES:
            print(f"there is no table {argument!r}; there are {', '.join(TABLES)}", file=sys.stderr)
        elif word == "columns":
            widest = max(map(len, TABLES[argument].names))
            print("\n".join(f"{column.name:<{widest}}  {column.metadata[b'comment'].decode()}"
                            for column in TABLES[argument]))
        elif (word, argument) == ("examples", ""):
            _answer_examples(self._connection, self._as_json)
        elif word == "sample" and argument:
            _show_sample(self._folder, argument, None)
        else:
            return False
        return True


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


