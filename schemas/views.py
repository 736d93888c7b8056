"""DuckDB views over the shards, one per table, with a comment on every column."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.tables import COMMENTS, TABLES


def views_sql(folder: Path | None = None) -> str:
    """SQL that defines the views.

    Args:
        folder: the data set. Without it paths are relative, so that the SQL holds wherever the data set is moved:
            run it in the data set's folder, `cd DIR && duckdb -init views.sql`.
    """
    root = "" if folder is None else re.sub(r"([*?\[])", r"[\1]", folder.absolute().as_posix()) + "/"
    return ("-- Run this in the folder it lies in:  cd DIR && duckdb -init views.sql\n"
            + _views({table: _quoted(f"{root}data/{table}/*.parquet") for table in TABLES}))


def views_of_files(files: Mapping[str, Sequence[str]]) -> str:
    """The same for tables whose files are named one by one.

    Args:
        files: addresses by table, at least one for each.
    """
    return _views({table: f"[{', '.join(_quoted(name) for name in files[table])}]" for table in TABLES})


def _views(files: Mapping[str, str]) -> str:
    lines = []
    for table, schema in TABLES.items():
        lines.append(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM read_parquet({files[table]});")
        lines.append(f"COMMENT ON VIEW {table} IS {_quoted(COMMENTS[table])};")
        lines.extend(
            f"COMMENT ON COLUMN {table}.{column.name} IS {_quoted(column.metadata[b'comment'].decode())};"
            for column in schema)
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
