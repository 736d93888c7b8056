"""Records are rows: their fields are the columns, and what a table promises stands in its footer."""

import dataclasses
import json
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Features

from schemas.reasons import SENTENCES, Reason
from schemas.records import (
    Caption,
    Chapter,
    Clip,
    Clue,
    Evidence,
    KeyEvent,
    Measures,
    Rejection,
    Sample,
    Subtitle,
    Video,
)
from schemas.tables import COMMENTS, IMAGE_COLUMNS, TABLES, with_footer
from schemas.views import views_sql

LATE = {
    "videos": {"n_clips", "n_frames", "n_samples", "split", "calibration"},
    "clips": {"thumbnail"},
    "clues": set(),
    "samples": {"dataset", "split", "conversations", "media", "language", "checks", "calibration"},
    "rejected": set(),
}
"""Columns that only the finished build fills in."""

NO_COLUMN = {"samples": {"similarity", "blind_right", "blind_asked", "frame_indexes"}}
"""Fields that go into columns of other names (`checks`, `media`)."""


def _fields(*records: type) -> set[str]:
    return {field.name for record in records for field in dataclasses.fields(record)}


@pytest.mark.parametrize(("table", "records"), [
    ("videos", [Video]), ("clips", [Clip, Caption]), ("clues", [Clue]), ("samples", [Sample]),
    ("rejected", [Rejection]),
])
def test_fields_are_columns(table: str, records: list[type]) -> None:
    assert _fields(*records) - NO_COLUMN.get(table, set()) == set(TABLES[table].names) - LATE[table]


def test_fields_that_no_table_has_say_so() -> None:
    """`Measures` is wider than its column; each field too many is documented as 'Not a column.'"""
    source = Path(__file__).parents[2].joinpath("schemas", "records.py").read_text(encoding="utf-8")
    body = source.split("class Measures:")[1].split("@dataclass")[0]
    said = set(re.findall(r'(\w+): [^\n]+\n    """[^"]*Not a column\."""', body))
    columns = {part.name for part in TABLES["clips"].field("measures").type}
    assert _fields(Measures) - columns == said


@pytest.mark.parametrize(("column", "record"), [
    ("videos.chapters", Chapter), ("clips.key_events", KeyEvent), ("clips.subtitles", Subtitle),
    ("samples.evidence", Evidence),
])
def test_records_inside_columns_have_the_same_fields(column: str, record: type) -> None:
    table, name = column.split(".")
    assert _fields(record) == {part.name for part in TABLES[table].field(name).type.value_type}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_comment(table: str) -> None:
    assert all(column.metadata[b"comment"].strip() for column in TABLES[table])
    assert COMMENTS[table]


@pytest.mark.parametrize(("table", "record"), [("videos", Video), ("clues", Clue), ("samples", Sample),
                                               ("rejected", Rejection)])
def test_what_may_be_none_is_nullable(table: str, record: type) -> None:
    for field in dataclasses.fields(record):
        if "None" in str(field.type) and field.name in TABLES[table].names:
            assert TABLES[table].field(field.name).nullable, field.name


@pytest.mark.parametrize("table", TABLES)
def test_the_footer_holds_features_that_fit_the_columns(table: str, tmp_path: Path) -> None:
    schema = with_footer(table)
    features = Features.from_dict(json.loads(schema.metadata[b"huggingface"])["info"]["features"])
    assert list(features) == schema.names
    assert [name for name, feature in features.items() if type(feature).__name__ == "Image"] == [
        name for name in [IMAGE_COLUMNS.get(table)] if name]
    for column in schema:
        if column.name != IMAGE_COLUMNS.get(table):
            assert features.arrow_schema.field(column.name).type == column.type


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
    assert len(set(SENTENCES.values())) == len(SENTENCES)
    assert all(len(sentence.split()) > 3 for sentence in SENTENCES.values())


def test_the_views_open_every_table_with_its_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in TABLES:
        (tmp_path / "data" / table).mkdir(parents=True)
        empty = pa.Table.from_pylist([], schema=with_footer(table))
        pq.write_table(empty, tmp_path / "data" / table / "train-00000.parquet")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as database:
        database.execute(views_sql())
        for table, schema in TABLES.items():
            assert [row[0] for row in database.execute(f"DESCRIBE {table}").fetchall()] == schema.names
        said = database.execute("SELECT table_name, column_name, comment FROM duckdb_columns()").fetchall()
    comments = {(table, column): comment for table, column, comment in said}
    for table, schema in TABLES.items():
        for column in schema:
            assert comments[table, column.name] == column.metadata[b"comment"].decode()
