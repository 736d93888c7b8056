"""A Python environment of its own for pins that clash with ours: made once, next to others, never mixed with ours."""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

_DONE = ".complete"


class EnvironmentFailedError(Exception):
    """An environment could not be made, with pip's last words."""


def cache_folder() -> Path:
    """Where environments and logs lie: VIDEO_XL_CACHE, else ~/.cache/video-xl."""
    return Path(os.environ.get("VIDEO_XL_CACHE") or Path.home() / ".cache" / "video-xl")


def pinned_python(
    name: str, pins: Path, folder: Path | None = None, *, unwanted: Sequence[str] = (), alone: bool = False
) -> Path:
    """The interpreter of an environment that holds what a requirements file names, made if need be.

    Args:
        name: for whom; part of the folder's name, and what is told while it is made.
        pins: the requirements file.
        folder: where; by default one in the cache, named by its pins.
        unwanted: distributions that the pins bring along and that are removed again.
        alone: install what the file names and nothing that it depends on.

    Raises:
        EnvironmentFailedError: pip could not install it.
    """
    folder = folder or cache_folder() / f"{name}-{_fingerprint(pins)}"
    python = folder / "bin" / "python"
    with _only_one(folder):
        if not (folder / _DONE).exists():
            print(f"making an environment for {name} in {folder} (once; some minutes)", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            _pip(python, "install", "--quiet", *(["--no-deps"] if alone else []), "--requirement", os.fspath(pins))
            if unwanted:
                _pip(python, "uninstall", "--quiet", "--yes", *unwanted)
            (folder / _DONE).touch()
    return python


def _pip(python: Path, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *arguments], text=True, capture_output=True, check=False,
        stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        words = "\n".join((done.stderr or done.stdout).splitlines()[-15:])
        raise EnvironmentFailedError(f"pip {arguments[0]} failed:\n{words}\nMend it and start again; what is half made "
                                     "is thrown away.")


def _fingerprint(pins: Path) -> str:
    """Of the pins and of the interpreter, which an environment is tied to."""
    said = f"{pins.read_text(encoding='utf-8')} {platform.python_version()} {sys.base_prefix}"
    return hashlib.sha256(said.encode()).hexdigest()[:12]


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two commands started together make one environment: the second waits."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
