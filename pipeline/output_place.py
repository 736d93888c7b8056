"""Where an output lies: in a folder, or in an object store with a folder of this machine that stands for it."""

import getpass
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.object_work_store import ObjectWorkStore
from pipeline.publish import bring_state
from pipeline.shared_files import FolderFiles, ObjectFiles, SharedFiles, is_object_address
from pipeline.work_store import WorkStore, key_of
from schemas.build_config import BuildConfig


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """An output, seen from one machine."""

    address: str
    """As the user names it."""
    folder: Path
    """The output; where that lies in an object store, the folder in which this machine prepares it."""
    own: Path
    """A folder that no other machine writes."""
    objects: ObjectFiles | None
    """The object store that the output lies in."""

    def store(self) -> WorkStore:
        """The finished products."""
        if self.objects is None:
            return WorkStore(self.folder)
        return ObjectWorkStore(self.folder, self.objects.below(".work"))

    def shared(self, name: str = "") -> SharedFiles:
        """What all machines see of `.work`, or of a folder in it."""
        if self.objects is None:
            return FolderFiles(self.folder / ".work" / name)
        return self.objects.below(f".work/{name}" if name else ".work")

    def earlier_answers(self) -> list[str]:
        """Folders with answers that builds have kept in the output and that this machine has not in its own folder."""
        is_elsewhere = self.own != self.folder and any((self.folder / ".work" / "answers").rglob("*.answers"))
        return [os.fspath(self.folder)] if is_elsewhere else []


def place_of(out: str, scratch: str | None) -> OutputPlace:
    """The place that a build's choices name. Nothing is written.

    Args:
        out: a folder, or an address in an object store.
        scratch: a folder on this machine's own disk, or None for one in its temporary folder.

    Raises:
        NoSuchStoreError: no such object store can be used.
    """
    # A path may hold any bytes.
    name = os.fsencode(out.rstrip("/") if is_object_address(out) else os.path.realpath(out)).hex()
    own = _own_folder(scratch) / key_of(name)
    if is_object_address(out):
        return OutputPlace(out, own, own, ObjectFiles(out))
    return OutputPlace(out, Path(out), own, None)


def fault_of_clip_files(config: BuildConfig, out: str) -> str | None:
    """Why `--keep-clips` cannot be had: its files are links into the products of a folder."""
    if config.keep_clips and is_object_address(out):
        return f"--keep-clips writes files into a folder, and {out} is an object store"
    return None


def catch_up(place: OutputPlace) -> None:
    """Have the folder that stands for an object store know what builds on other machines have published.

    Raises:
        NoSuchStoreError: the store does not answer, or does not let us in.
    """
    if place.objects is not None:
        bring_state(place.objects, place.folder)


def _own_folder(scratch: str | None) -> Path:
    return Path(scratch) if scratch else Path(tempfile.gettempdir()) / f"vico-{getpass.getuser()}"
