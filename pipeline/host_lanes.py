"""Politeness: so many visits to one host at a time, and a pause between one and the next."""

import contextlib
import threading
import time
from collections.abc import Iterator


class HostLanes:
    """Lets threads through to hosts; safe for many threads."""

    def __init__(self, per_host: int, delay_s: float) -> None:
        """
        Args:
            per_host: visits to one host at a time.
            delay_s: seconds from the beginning of one visit to that of the next.
        """
        self._per_host, self._delay_s = per_host, delay_s
        self._lanes: dict[str, threading.Semaphore] = {}
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def visit(self, host: str) -> Iterator[None]:
        """Wait for a turn; the visit lasts as long as the block."""
        with self._lock:
            lane = self._lanes.setdefault(host, threading.Semaphore(self._per_host))
        with lane:
            time.sleep(max(0.0, self._book(host) - time.monotonic()))
            yield

    def _book(self, host: str) -> float:
        """The time at which this visit may begin; the next one later by the delay."""
        with self._lock:
            begin = max(time.monotonic(), self._next.get(host, 0.0))
            self._next[host] = begin + self._delay_s
            return begin
