"""What stages have finished, under OUT/.work: the only truth about what is done.

A product is a folder `{stage}/{key}`, the key a hash of everything the product depends on, which lies in it too, as
`inputs.json`. It is written beside its place, flushed to the disk, and appears by one rename: it is there whole or
not at all.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Container, Iterable, Iterator, Set
from pathlib import Path
from typing import Any

Inputs = dict[str, Any]
"""What a product depends on, by name; values that JSON can hold. `video` is the video it is about."""

INPUTS = "inputs.json"


def key_of(*parts: Any) -> str:
    """A key of 32 hex digits from values that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class WorkStore:
    """The finished products of all stages of one output folder."""

    def __init__(self, out: Path) -> None:
        self.root = out / ".work"

    def find(self, stage: str, key: str) -> Path | None:
        """The folder of a finished product, or None."""
        folder = self.root / stage / key
        return folder if folder.is_dir() else None

    @contextlib.contextmanager
    def write(self, stage: str, key: str, inputs: Inputs | None = None) -> Iterator[Path]:
        """A new folder to write a product into; it becomes the product when the block ends well.

        Args:
            stage: who makes it.
            key: where it will be found.
            inputs: what the key was made from, kept so that it can be told why another key is asked for.
        """
        scratch = self.root / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{stage}-", dir=scratch))
        try:
            yield folder
            if inputs is not None:
                (folder / INPUTS).write_text(json.dumps(inputs, ensure_ascii=False), encoding="utf-8")
            flush_tree(folder)
            place = self.root / stage / key
            if not place.parent.is_dir():
                place.parent.mkdir(parents=True, exist_ok=True)
                flush_folder(self.root)
            if not place.is_dir():
                _rename_unless_there(folder, place)
                flush_folder(place.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep_only(self, stage: str, keys: Container[str]) -> None:
        """Forget the products of a stage under other keys."""
        self.discard([folder for folder in (self.root / stage).glob("*") if folder.name not in keys])

    def discard(self, folders: Iterable[Path]) -> None:
        """Forget some products, or a stage's; by a rename first: a product goes whole, too."""
        scratch = self.root / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            if folder.is_dir():
                gone = tempfile.mkdtemp(prefix="gone-", dir=scratch)
                os.rename(folder, os.path.join(gone, "product"))
                shutil.rmtree(gone, ignore_errors=True)

    def about(self, stage: str, video_ids: Set[str]) -> Iterator[Path]:
        """The products of a stage that speak of some videos."""
        for path in (self.root / stage).glob(f"*/{INPUTS}"):
            if json.loads(path.read_text(encoding="utf-8")).get("video") in video_ids:
                yield path.parent

    def sweep(self) -> None:
        """Remove what a killed run left half written.

        By a rename first: a worker on another machine that was thought dead, and is just finishing a product in there,
        then fails to put it in its place, and never puts half of it there.
        """
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.root / "scratch", self.root / f"swept-{secrets.token_hex(4)}")
        for swept in self.root.glob("swept-*"):
            shutil.rmtree(swept, ignore_errors=True)


def _rename_unless_there(folder: Path, place: Path) -> None:
    """Another process may have finished the same product in this very moment: the first one stays."""
    try:
        os.rename(folder, place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    flush_folder(path.parent)


def flush_tree(folder: Path) -> None:
    """Have the disk hold every file under a folder."""
    for parent, _, names in os.walk(folder):
        for name in names:
            handle = os.open(os.path.join(parent, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        flush_folder(Path(parent))


def flush_folder(folder: Path) -> None:
    """Have the disk hold the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
