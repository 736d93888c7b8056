"""Publishing a data set in an object store, and learning what others published: see `pipeline.published_set`."""

import json
import re
import secrets
from pathlib import Path
from typing import Any

from pipeline import blind_guesser
from pipeline.calibration import NEEDLES_FILE
from pipeline.exclusion import FROZEN
from pipeline.published_set import Published, manifest_name, newest, number_of
from pipeline.shared_files import ObjectFiles
from pipeline.work_store import write_file

_CARD = "README.md"
_VIEWS = "views.sql"
_BESIDE = (_CARD, _VIEWS, blind_guesser.FILE_NAME, FROZEN, NEEDLES_FILE)
_STATE = (".work/catalogue.jsonl", ".work/forgotten.json", ".work/request.json")
_SECRET = 0o600
_MARK = re.compile(r"\.g(\d{8})-[0-9a-f]{8}")


class CommitLostError(Exception):
    """Another build published meanwhile. All that is finished is kept; the same command goes on from there."""


def commit(folder: Path, objects: ObjectFiles, keep_before: bool = True) -> dict[str, Any]:
    """Publish what was gathered in a folder; nothing is done where that is published already.

    Args:
        folder: as `write_shards` leaves it.
        objects: where the output lies. What was there when `bring_state` was called is what is replaced.
        keep_before: leave readers of the data set that is replaced their files; not when videos were forgotten.

    Returns:
        The manifest as published.

    Raises:
        CommitLostError: another build published meanwhile.
    """
    before = newest(objects)
    if before.number != _caught_up_with(folder):
        raise CommitLostError(f"another build published {objects.address} meanwhile")
    mark = f".g{before.number + 1:08d}-{secrets.token_hex(4)}"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    there = {(_plain(file["path"]), file["sha256"]): file["path"] for file in before.manifest.get("files", [])}
    manifest["files"] = [
        file | {"path": there.get((file["path"], file["sha256"])) or _send(folder, objects, file["path"], mark)}
        for file in manifest["files"]]
    manifest["beside"] = {
        name: _send_unless_same(folder, objects, name, mark, before)
        for name in (*_BESIDE, *_STATE) if (folder / name).is_file()}
    if manifest == dict(before.manifest):
        return manifest
    text = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    name = manifest_name(before.number + 1)
    # The reply to our own may have been lost; and a number is free again when the store has gone far beyond it.
    is_ours = objects.create(name, text) or objects.read(name) == text
    if not is_ours or newest(objects).number != before.number + 1:
        raise CommitLostError(f"another build published {objects.address} meanwhile")
    _note(folder, before.number + 1)
    _remove_older(objects, Published(before.number + 1, manifest), before if keep_before else None)
    return manifest


def bring_state(objects: ObjectFiles, folder: Path) -> None:
    """Bring what the next build must know of those before it, unless this machine knows it.

    Raises:
        NoSuchStoreError: see `newest`.
    """
    now = newest(objects)
    if now.number == _caught_up_with(folder):
        return
    for name in (*_BESIDE, *_STATE):
        stored = now.manifest["beside"].get(name) if now.number else None
        if stored is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_file(folder / name, objects.read(stored), mode=_SECRET if name in _STATE else 0o644)
    _note(folder, now.number)


def _send(folder: Path, objects: ObjectFiles, name: str, mark: str) -> str:
    path = Path(name)
    stored = f"{path.parent.as_posix()}/{path.stem}{mark}{path.suffix}"
    objects.create_from(stored, folder / name)
    return stored


def _send_unless_same(folder: Path, objects: ObjectFiles, name: str, mark: str, before: Published) -> str:
    stored, data = before.manifest.get("beside", {}).get(name), (folder / name).read_bytes()
    if stored is not None and objects.read(stored) == data:
        return stored
    stored = f"beside/{Path(name).name}{mark}"
    objects.create(stored, data)
    return stored


def _remove_older(objects: ObjectFiles, now: Published, before: Published | None) -> None:
    """Files of earlier commits, and of builds that were broken off or came too late: none of them can count now."""
    keep = now.files() | (before.files() if before is not None else set())
    oldest = before.number if before is not None else now.number
    gone = [name for name in objects.names("manifests") if number_of(name) < oldest]
    for name in [*objects.names("data"), *objects.names("beside")]:
        written_by = _MARK.search(name)
        if name not in keep and written_by is not None and int(written_by[1]) <= now.number:
            gone.append(name)
    objects.remove_all(gone)


def _plain(stored: str) -> str:
    """The name of a shard in a folder, where it has no mark."""
    return _MARK.sub("", stored)


def _caught_up_with(folder: Path) -> int:
    note = folder / ".work" / "published"
    return int(note.read_text()) if note.is_file() else 0


def _note(folder: Path, number: int) -> None:
    write_file(folder / ".work" / "published", str(number).encode())
