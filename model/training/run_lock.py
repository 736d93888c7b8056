"""One run at a time on a folder, of `train-on-shards` or of `ablate`."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunInUseError(Exception):
    """Another process works in the folder."""


class NoRunFolderError(Exception):
    """The folder cannot be made or written in; the message says why."""


@contextmanager
def only_run(run: Path) -> Iterator[None]:
    """Hold the folder for the time of the block; the kernel lets go of it when the process ends, however it ends.

    It is a record lock: unlike others it is not handed on to processes that read data and outlive this one.

    Raises:
        RunInUseError: it is held already.
        OSError: nothing can be written there.
    """
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunInUseError(f"another process works on {run}: wait, or choose another --out") from error
        yield
