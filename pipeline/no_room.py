"""Whether an error means that the output cannot be written to: no fault of ours, and nothing that a retry mends."""

import errno

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def is_no_room(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a full disk, a used-up quota or a disk that became read-only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False
