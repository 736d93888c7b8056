"""What is in the folders that a grid is given: they may be moved, but nothing is taken over from other contents.

Everything is read once a process.
"""

import hashlib
from functools import cache
from pathlib import Path

from model.evaluation.asked_digest import asked_digest
from model.evaluation.evaluate import group_looks
from model.evaluation.tasks import all_tasks

_OF_A_MODEL = {".json", ".safetensors", ".bin", ".jinja", ".txt"}
"""Endings of the files that from_pretrained may take: configuration, weights, tokenizer, its template."""


@cache
def model_digest(folder: Path) -> str:
    """sha256, in hex digits, over names and bytes of the files of a model.

    All bytes count, because headers and sizes are the same for any two trainings of one model: for 7B that is 16 GB to
    read, as much as loading the model once.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in _OF_A_MODEL):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


@cache
def data_digest(benchmark: str, data: Path, limit: int | None) -> str:
    """`asked_digest` of what `evaluate-video-xl` asks with these choices.

    Args:
        benchmark: as --task.
        data: as --data.
        limit: as --limit.

    Raises:
        MissingDataError, BadDataError: a file is missing or not what it should be.
    """
    return asked_digest(group_looks(all_tasks()[benchmark].questions(data))[:limit])
