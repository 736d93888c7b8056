"""Whether something runs in so much memory of the CPU: tried in a fork of this process that gets no more.

Linux with glibc only.
"""

import ctypes
import resource
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

_RAN, _FULL = 0, 3
_MMAP_THRESHOLD, _LARGE_BYTES = -3, 1 << 17
"""M_MMAP_THRESHOLD of malloc.h, and glibc's own value for it, which it raises by itself as long as it is not set."""


class TryError(Exception):
    """What was tried ended in something else than a full memory; its own words are on stderr."""


def give_back_what_is_freed() -> None:
    """Let the allocator keep no large block that was freed, so that later tries do not begin with room of earlier work.
    To be called before that work.
    """
    ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)


def runs_within(memory_bytes: int, do: Callable[[], object]) -> bool:
    """Try it.

    Args:
        memory_bytes: of writable memory of its own, touched or not, beside what this process has now.
        do: what to run; nothing of it stays. What it loads or sets up when first run should be there already.

    Raises:
        TryError: it failed for another reason.
    """
    child = get_context("fork").Process(target=_run, args=(memory_bytes, do))
    child.start()
    child.join()
    if child.exitcode not in (_RAN, _FULL):
        raise TryError(f"a try ended with exit code {child.exitcode}")
    return child.exitcode == _RAN


def _run(memory_bytes: int, do: Callable[[], object]) -> None:
    # Not RLIMIT_AS: every thread that there ever was has reserved 64 MB, into which malloc grows when all else fails.
    limit = _data_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        do()
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error):
            sys.exit(_FULL)
        raise


def _data_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
