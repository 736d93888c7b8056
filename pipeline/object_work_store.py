"""Finished products in an object store, for machines that share no folder.

    PREFIX/.work/{stage}/{key}.tar             a product, one object: it is there whole or not at all
    PREFIX/.work/about/{video_id}/{stage}-{key}   an empty object: which products speak of a video

Each machine unpacks what it needs into a folder of its own, which is a cache: whether a product is there, and which
one, the object store says. The first to create the object has made the product. Who comes later, because it was thought
dead and its video was given to another machine, throws its own away and goes on with the other's.

What `identify` learns of a path, and the shards of a bucket, stay with the machine: the first speaks of its own disk,
the second are published as they are.
"""

import contextlib
import fcntl
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from pipeline.shared_files import ObjectFiles
from pipeline.work_store import Inputs, WorkStore, write_file
from schemas.reasons import Stage

_OF_THIS_MACHINE = (Stage.PROBE, Stage.SHARDS)


class ObjectWorkStore(WorkStore):
    """The products of an output in an object store, and this machine's copies of them."""

    def __init__(self, folder: Path, files: ObjectFiles) -> None:
        """
        Args:
            folder: this machine's, for copies and for what is in work.
            files: the output's `.work`.
        """
        super().__init__(folder)
        self._files = files

    def find(self, stage: str, key: str) -> Path | None:
        """A copy of the product as it is now; one that was made again elsewhere replaces the copy."""
        if stage in _OF_THIS_MACHINE:
            return super().find(stage, key)
        version = self._files.version(_object(stage, key))
        if version is None:
            return None
        with self._one_brings():
            copy = super().find(stage, key)
            if copy is None or not self._is_copy_of(stage, key, version):
                self._bring(stage, key, version)
        return super().find(stage, key)

    @contextlib.contextmanager
    def write(self, stage: str, key: str, inputs: Inputs | None = None) -> Iterator[Path]:
        """As ever; at the end of the block the product is in the object store."""
        if stage not in _OF_THIS_MACHINE:
            super().discard([self.root / stage / key])  # a copy of what was dropped, or never got there
        with super().write(stage, key, inputs) as folder:
            yield folder
        if stage not in _OF_THIS_MACHINE:
            self._send(stage, key, inputs or {})

    def discard(self, folders: Iterable[Path]) -> None:
        """Forget products, or a stage's, everywhere."""
        folders = list(folders)
        super().discard(folders)
        for folder in folders:
            parts = folder.relative_to(self.root).parts
            if parts[0] not in _OF_THIS_MACHINE:
                self._files.remove(_object(*parts) if len(parts) == 2 else parts[0])

    def about(self, stage: str, video_ids: Set[str]) -> Iterator[Path]:
        """Where copies of the products of a stage that speak of some videos lie, or would."""
        if stage in _OF_THIS_MACHINE:
            yield from super().about(stage, video_ids)
            return
        for video_id in video_ids:
            for name in self._files.names(f"about/{video_id}"):
                of_stage, _, key = name.rpartition("/")[2].rpartition("-")
                if of_stage == stage:
                    yield self.root / stage / key

    def _send(self, stage: str, key: str, inputs: Inputs) -> None:
        if "video" in inputs:
            self._files.create(f"about/{inputs['video']}/{stage}-{key}", b"")
        with self._scratch() as scratch:
            _pack(self.root / stage / key, scratch / "product.tar")
            is_first = self._files.create_from(_object(stage, key), scratch / "product.tar")
        version = self._files.version(_object(stage, key))
        if is_first and version is not None:
            write_file(self._note(stage, key), version.encode())

    def _bring(self, stage: str, key: str, version: str) -> None:
        super().discard([self.root / stage / key])
        with self._scratch() as scratch:
            self._files.bring(_object(stage, key), scratch / "product.tar")
            with WorkStore.write(self, stage, key) as folder, tarfile.open(scratch / "product.tar") as tar:
                tar.extractall(folder, filter="data")
        write_file(self._note(stage, key), version.encode())

    @contextlib.contextmanager
    def _one_brings(self) -> Iterator[None]:
        """The processes of a machine share the copies; only one at a time replaces any."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / "bringing.lock", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _is_copy_of(self, stage: str, key: str, version: str) -> bool:
        note = self._note(stage, key)
        return note.is_file() and note.read_text() == version

    def _note(self, stage: str, key: str) -> Path:
        """Says which version of the object this machine's copy is."""
        return self.root / "versions" / stage / key

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        (self.root / "scratch").mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="object-", dir=self.root / "scratch"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _object(stage: str, key: str) -> str:
    return f"{stage}/{key}.tar"


def _pack(folder: Path, tar: Path) -> None:
    """Names and contents only: the same product is the same object, whoever packs it and when."""
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as packed:
        for path in sorted(folder.rglob("*")):
            facts = tarfile.TarInfo(path.relative_to(folder).as_posix())
            if path.is_dir():
                facts.type, facts.mode = tarfile.DIRTYPE, 0o755
                packed.addfile(facts)
                continue
            facts.size = path.stat().st_size
            with path.open("rb") as file:
                packed.addfile(facts, file)
