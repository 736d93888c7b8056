"""A data set in an object store: each build adds one manifest, and a reader follows the newest one.

    PREFIX/manifests/00000007.json                        what the data set is: a commit
    PREFIX/data/{table}/{split}-{bucket}.g00000005-….parquet   its shards, each written by the commit it names
    PREFIX/beside/{name}.g00000007-…                      what else belongs to it: card, views, guesser, lists, …

Nothing that a manifest names is ever written again, and the manifest comes last, so a reader sees one data set or the
next, never half of one. A manifest is created, never replaced: of two builds that began from number 6, one gets to
write number 7. The other one, a machine that was thought dead perhaps, has then changed nothing that counts. Files
that neither the newest manifest nor the one before it names are removed after a commit: whoever reads the data set when
it is replaced can read on until it is replaced once more.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.shared_files import NoSuchStoreError, ObjectFiles


class NoDataSetError(Exception):
    """No data set has been published at an address."""


@dataclass(frozen=True, slots=True)
class Published:
    """One manifest: its number, 0 for none, and what it says."""

    number: int
    manifest: Mapping[str, Any]

    def files(self) -> set[str]:
        """The names of all files that it speaks of."""
        return {file["path"] for file in self.manifest.get("files", [])} | {*self.manifest.get("beside", {}).values()}


def newest(objects: ObjectFiles) -> Published:
    """The data set as it is.

    Raises:
        NoSuchStoreError: the store does not answer, or does not let us in.
    """
    try:
        names = objects.names("manifests")
        if not names:
            return Published(0, {})
        return Published(number_of(names[-1]), json.loads(objects.read(names[-1])))
    except OSError as error:
        raise NoSuchStoreError(f"{objects.address}: {error.strerror or error}") from error


def table_files(objects: ObjectFiles) -> dict[str, list[str]]:
    """The addresses of the shards of each table, as the newest manifest names them.

    Raises:
        NoDataSetError: there is none.
        NoSuchStoreError: see `newest`.
    """
    now = newest(objects)
    if not now.number:
        raise NoDataSetError(f"no data set has been published at {objects.address}")
    tables: dict[str, list[str]] = {}
    for file in now.manifest["files"]:
        tables.setdefault(file["table"], []).append(objects.url(file["path"]))
    return tables


def manifest_name(number: int) -> str:
    """Where the manifest of a number lies."""
    return f"manifests/{number:08d}.json"


def number_of(name: str) -> int:
    """The number of a manifest by its name."""
    return int(Path(name).stem)
