"""Whether an error means that the output cannot be written to: no fault of ours, and nothing that a retry mends."""

import errno
import shutil
from pathlib import Path

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_FULL_BELOW = 1 << 20


def is_full(folder: Path) -> bool:
    """Whether a folder's disk has hardly a byte left: who failed on it may have named another reason."""
    return shutil.disk_usage(folder).free < _FULL_BELOW


def is_no_room(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a full disk, a used-up quota or a disk that became read-only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False
