"""Files that several machines see: under a folder of a common file system, or under a prefix of an object store.

A file is there whole or not at all. The first to create a name wins, and everybody sees the same winner: that is all
that machines which cannot see each other need to agree upon.

Where an object store lies and who we are, the user's own environment says (AWS_ENDPOINT_URL, AWS_PROFILE, …). It must
know a conditional write (S3 has since 2024: `If-None-Match: *`) and list what was just written.
"""

import contextlib
import copy
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import fsspec

from pipeline.work_store import flush_folder


class NoSuchStoreError(Exception):
    """An address of an object store that cannot be used; the message says why."""


class SharedFiles(Protocol):
    """Files by name; a name has `/` between its parts."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file, durably; False where there is one of that name already, which stays as it is."""

    def read(self, name: str) -> bytes | None:
        """What a file holds, or None."""

    def names(self, folder: str) -> list[str]:
        """The names of all files below a folder, sorted; none where it does not exist."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it, if it is there."""


def is_object_address(address: str) -> bool:
    """Whether an address names a place in an object store, and not a folder."""
    return "://" in address


class FolderFiles:
    """Files under a folder; see `SharedFiles`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, name: str, data: bytes) -> bool:
        place = self._root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=".", dir=place.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(scratch, place)
        except FileExistsError:
            return False
        finally:
            os.unlink(scratch)
        flush_folder(place.parent)
        return True

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        return sorted(path.relative_to(self._root).as_posix() for path in (self._root / folder).rglob("*")
                      if path.is_file() and not path.name.startswith("."))

    def remove(self, name: str) -> None:
        path = self._root / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class ObjectFiles:
    """Files under a prefix of an object store; see `SharedFiles`. Large ones come and go by way of local files."""

    def __init__(self, address: str) -> None:
        """
        Args:
            address: scheme://bucket/prefix.

        Raises:
            NoSuchStoreError: the scheme is not known, or its package is not installed.
        """
        self.address = address.rstrip("/")
        scheme = address.partition(":")[0]
        try:
            # Never from memory: other machines write here too.
            self.system, self._root = fsspec.url_to_fs(
                self.address, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise NoSuchStoreError(f"{address}: {scheme}:// needs one more package: "
                                   f"in the checkout, pip install -e '.[{scheme}]'") from error
        except ValueError as error:
            raise NoSuchStoreError(f"{address}: {error}") from error

    def below(self, name: str) -> "ObjectFiles":
        """The files of a folder."""
        files = copy.copy(self)
        files.address, files._root = self.url(name), self.path(name)
        return files

    def path(self, name: str) -> str:
        """What the file system calls a file."""
        return f"{self._root}/{name}"

    def url(self, name: str) -> str:
        """The full address of a file."""
        return f"{self.address}/{name}"

    def create(self, name: str, data: bytes) -> bool:
        with contextlib.suppress(FileExistsError):
            self.system.pipe_file(self.path(name), data, mode="create")
            return True
        return False

    def create_from(self, name: str, file: Path) -> bool:
        """The same from a local file."""
        with contextlib.suppress(FileExistsError):
            self.system.put_file(os.fspath(file), self.path(name), mode="create")
            return True
        return False

    def read(self, name: str) -> bytes | None:
        try:
            return self.system.cat_file(self.path(name))
        except FileNotFoundError:
            return None

    def bring(self, name: str, file: Path) -> None:
        """Copy a file to a local one."""
        self.system.get_file(self.path(name), os.fspath(file))

    def version(self, name: str) -> str | None:
        """What changes when the file is removed and another one is written under its name; None: it is not there."""
        self.system.invalidate_cache()
        try:
            return self.system.ukey(self.path(name))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        self.system.invalidate_cache()
        found = self.system.find(self.path(folder) if folder else self._root)
        return sorted(path.removeprefix(f"{self._root}/") for path in found)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.system.rm(self.path(name), recursive=True)
        self.system.invalidate_cache()

    def remove_all(self, names: Sequence[str]) -> None:
        """Remove many files, that are there, with few requests."""
        if names:
            self.system.rm([self.path(name) for name in names])
            self.system.invalidate_cache()
