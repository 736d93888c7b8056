"""Reading the files of benchmarks, with messages that say where they come from."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.evaluation.question import Question
from model.evaluation.task import BadDataError, MissingDataError, Task


def find_file(task: Task, data: Path, *names: str) -> Path:
    """The first of several names that is there.

    Args:
        task: whose file it is.
        data: the folder given as --data.
        names: under the task's folder.

    Raises:
        MissingDataError: none is.
    """
    places = [data / task.folder / name for name in names]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise MissingDataError(
            f"{task.name}: no file {' or '.join(map(str, places))}\n{task.source}\nDownload it and name the folder "
            f"above {task.folder} with --data.")
    return found


def read_rows(path: Path, fields: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a .json list, .jsonl, .csv, .tsv or .parquet file.

    Args:
        path: the file.
        fields: that every row must have.

    Raises:
        BadDataError: it cannot be read as such, has no row, or a row lacks a field.
    """
    try:
        rows = _READERS[path.suffix](path)
    except (ValueError, csv.Error, pa.ArrowInvalid) as error:
        raise BadDataError(f"{path} is damaged: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise BadDataError(f"{path} must hold a list of objects, one a question")
    if not rows:
        raise BadDataError(f"{path} holds no question")
    for number, row in enumerate(rows):
        lacking = [field for field in fields if field not in row]
        if lacking:
            raise BadDataError(f"{path}, row {number}: no field {lacking[0]!r}, only {', '.join(row)}")
    return rows


def check_media(task: Task, questions: Sequence[Question]) -> None:
    """See that everything to look at is there, before anything is asked.

    Raises:
        MissingDataError: names the first that is not, and how many there are.
    """
    files = {file: None for question in questions for file in question.viewing.files()}
    missing = [file for file in files if not file.exists()]
    if missing:
        raise MissingDataError(
            f"{task.name}: {len(missing)} of {len(files)} files to look at are missing, the first is {missing[0]}\n"
            f"{task.source}")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> Any:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _separated(path: Path, separator: str) -> list[dict[str, Any]]:
    # Images lie in MMBench's cells as base64.
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=separator, strict=True))


_READERS = {
    ".json": _json, ".jsonl": _json_lines, ".csv": lambda path: _separated(path, ","),
    ".tsv": lambda path: _separated(path, "\t"), ".parquet": lambda path: pq.read_table(path).to_pylist()}
