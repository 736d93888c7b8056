"""Folders of checkpoints that appear whole or not at all.

    RUN/checkpoints/step-00001000/   config.json, model*.safetensors, tokenizer: what from_pretrained takes
                                     training/  what a run needs to go on

A checkpoint is written beside its place under another name, brought to the disk, and renamed. Its
`training/state.json`, written last, lists every file with its size.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATE = Path("training") / "state.json"
PREFIX = "step-"


class RunNotWrittenError(Exception):
    """A checkpoint or the log could not be written; older checkpoints are as they were."""


class NoWholeCheckpointError(Exception):
    """A run has checkpoints, and none of them is as it was written; the message says what differs."""


def why_not_written(error: Exception) -> str:
    """What an error in writing a file means, in words."""
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space" in str(error)
    return f"the disk is full ({error})" if full else str(error)


def step_folder(run: Path, step: int) -> Path:
    """Where the checkpoint behind `step` steps lies."""
    return run / "checkpoints" / f"{PREFIX}{step:08d}"


@contextmanager
def new_checkpoint(run: Path, step: int) -> Iterator[Path]:
    """A folder to write into, which becomes the checkpoint of `step` when the block ends without an error.

    Raises:
        OSError: the disk is full, say; nothing is left behind.
    """
    final = step_folder(run, step)
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.glob(f".{PREFIX}*.partial"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    partial = final.with_name(f".{final.name}.partial")
    (partial / "training").mkdir(parents=True)
    try:
        yield partial
        for path in [*(p for p in partial.rglob("*")), partial]:
            _to_disk(path)
        if final.exists():  # an older, broken one of the same step
            shutil.rmtree(final)
        os.rename(partial, final)
        _to_disk(final.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write `training/state.json`: what is given, and the files of the folder."""
    files = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / STATE).write_text(json.dumps({**state, "files": files}, indent=1))


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint of a run and its state; None if none was written yet.

    Raises:
        NoWholeCheckpointError: some were.
    """
    for folder in _newest_first(run):
        state = _whole_state(folder)
        if state is not None:
            return folder, state
    broken = passed_over(run)
    if broken:
        raise NoWholeCheckpointError("\n  - ".join([
            f"{run} has no checkpoint that is as it was written: put back what differs, or choose another --out to "
            "begin anew", *broken]))
    return None


def passed_over(run: Path) -> list[str]:
    """The checkpoints that no run can go on from and that are newer than the newest whole one, and what differs there,
    in words.
    """
    broken = []
    for folder in _newest_first(run):
        differing = _differing(folder)
        if not differing:
            break
        broken.append(f"{folder}: {', '.join(differing)}")
    return broken


def remove_older(run: Path, step: int, keep: int) -> None:
    """Remove checkpoints from before that of `step`, but for the newest whole ones: with it, `keep` stay."""
    places = keep - 1
    for folder in _newest_first(run):
        if folder >= step_folder(run, step):
            continue
        if places and _whole_state(folder) is not None:
            places -= 1
        else:
            shutil.rmtree(folder)


def _newest_first(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob(f"{PREFIX}*"), reverse=True)


def _whole_state(folder: Path) -> dict[str, Any] | None:
    """The state of a checkpoint all of whose files are there with their sizes; else None."""
    return None if _differing(folder) else json.loads((folder / STATE).read_text())


def _differing(folder: Path) -> list[str]:
    """The files of a checkpoint that are not as they were written, in words."""
    try:
        written = dict(json.loads((folder / STATE).read_text())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{STATE} cannot be read"]
    there = {name: (folder / name).stat().st_size for name in written if (folder / name).is_file()}
    return [f"{name} has {there[name]:,} bytes in place of {size:,}" if name in there else f"{name} is not there"
            for name, size in written.items() if there.get(name) != size]


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
