"""DuckDB views over the shards, one per table, with a comment on every column."""

from schemas.tables import COMMENTS, TABLES


def views_sql() -> str:
    """SQL that defines the views.

    Paths are relative, so that it holds wherever the data set is moved: run it in the data set's folder,
    `cd DIR && duckdb -init views.sql`, or in Python after `os.chdir(DIR)`.
    """
    lines = ["-- Run this in the folder it lies in:  cd DIR && duckdb -init views.sql"]
    for table, schema in TABLES.items():
        lines.append(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM read_parquet('data/{table}/*.parquet');")
        lines.append(f"COMMENT ON VIEW {table} IS {_quoted(COMMENTS[table])};")
        lines.extend(
            f"COMMENT ON COLUMN {table}.{column.name} IS {_quoted(column.metadata[b'comment'].decode())};"
            for column in schema)
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
