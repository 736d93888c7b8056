"""Ctrl-C: once asks a build to finish what it is at, twice ends it on the spot. Both can be gone on with."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_STOPPED = 4
_SHOW_CURSOR = "\x1b[?25h"


@contextlib.contextmanager
def ctrl_c_stops() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C during the block sets; the second one ends the process with exit code 4.

    Ending on the spot loses nothing that is finished: products appear by a rename, answers are on the disk before
    they are used, and the processes that were started end when this one does. In other threads than the main one,
    where no signal arrives, the event stays unset.
    """
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            _say("stopped. What is finished is kept; the same command goes on.", _SHOW_CURSOR)
            os._exit(_STOPPED)
        stopping.set()
        _say("finishing what is in hand; Ctrl-C again stops now. Either way the same command goes on.")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


def _say(words: str, control: str = "") -> None:
    """Straight to the descriptor: the buffered stream may be in use below the handler."""
    if sys.stderr.isatty():
        words = control + words
    os.write(2, f"build-vico: {words}\n".encode())
