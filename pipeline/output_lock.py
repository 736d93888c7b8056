"""One run at a time on an output folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class OutputInUseError(Exception):
    """Another run works on the output."""


@contextlib.contextmanager
def only_run(out: Path, name: str = "lock") -> Iterator[None]:
    """Hold the output for the time of the block; the kernel lets go of it when the process ends, however it ends.

    Args:
        out: the output folder.
        name: of the lock. A command holds one of its own, as the flow that it runs takes the other.

    Raises:
        OutputInUseError: it is held already, with the other run's process id.
    """
    lock = out / ".work" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 32).decode() or "?"
            raise OutputInUseError(f"another run (process {holder}) works on {out}") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def running_build(out: Path) -> int | None:
    """The process that works on an output; None where nobody does. Nothing is written."""
    try:
        handle = os.open(out / ".work" / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(handle, 32) or b"0")
    finally:
        os.close(handle)
    return None
