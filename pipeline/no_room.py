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
    return no_room_in(error) is not None


def no_room_in(error: BaseException | None) -> OSError | None:
    """That one of an error and its causes which says that there is no room; None where none does."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return error
        error = error.__cause__
    return None
