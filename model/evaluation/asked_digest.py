"""One name for all that is asked, so that answers are not taken for those to other questions or about other films."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from model.evaluation.evaluate import Look


def asked_digest(looks: Sequence[Look]) -> str:
    """sha256, in hex digits, over all questions and the names and sizes of the files that they are about.

    Where the files lie is none of it: they may be moved. What is in them is not read, for benchmarks have terabytes; a
    film that was exchanged for another one of the same name and size goes unseen.
    """
    digest = hashlib.sha256()
    for look in looks:
        for question in look.questions:
            digest.update(json.dumps(question, default=_plain, sort_keys=True).encode())
    for file in dict.fromkeys(file for look in looks for file in look.viewing.files()):
        digest.update(json.dumps([file.name, _size(file)]).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """What JSON does not know: paths by name, bytes by sha256, objects by the fields that make two of them equal."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return {field.name: getattr(value, field.name) for field in fields(value) if field.compare}


def _size(file: Path) -> int:
    """Bytes of a file, or of all files in a folder of frames."""
    return sum(one.stat().st_size for one in file.iterdir()) if file.is_dir() else file.stat().st_size
