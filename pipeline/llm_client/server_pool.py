"""Servers that hold the same models: who gets the next request, and whether any of them is alive."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence

from pipeline.llm_client.errors import ServersDownError
from pipeline.llm_client.server import Server

_LOOK_AGAIN_S = 5.0
_START_AGAIN = "Start the server again; the same command goes on."
_USED_UP = ("What came was nothing but 429: too many requests, or a quota that is used up. "
            "Once there is quota again, the same command goes on.")


class ServerPool:
    """Servers and those who wait for a place; several clients may share it. For one event loop."""

    def __init__(
        self, urls: Sequence[str], *, key: str | None = None, most_in_flight: int = 256, timeout_s: float = 300.0,
        give_up_s: float = 600.0,
    ) -> None:
        """Nothing is sent yet.

        Args:
            urls: base URLs, http://host:port/v1.
            key: sent as bearer token; None where the servers ask for none.
            most_in_flight: upper limit for each server.
            timeout_s: longest wait for one answer, seconds.
            give_up_s: longest time without any answer from any server, seconds; "too many requests" (429) is none.
        """
        self._servers = [Server(url, key, most_in_flight, timeout_s) for url in urls]
        self._give_up_s = give_up_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._answered_at = time.monotonic()
        self._down = ""
        self._wanted = 0
        self.answered = 0
        """How many requests were answered, by any server."""

    @property
    def in_flight(self) -> int:
        """Requests on their way now."""
        return sum(server.in_flight for server in self._servers)

    @property
    def limits(self) -> dict[str, int]:
        """How many requests each server may have now, by URL."""
        return {server.url: int(server.limit.value) for server in self._servers}

    @contextlib.contextmanager
    def wanted(self) -> Iterator[None]:
        """For the time of a request, its retries included: while nobody wants anything, silence means nothing."""
        if not self._wanted and not self._down:
            self._answered_at = time.monotonic()
        self._wanted += 1
        try:
            yield
        finally:
            self._wanted -= 1

    @contextlib.asynccontextmanager
    async def seat(self) -> AsyncIterator[Server]:
        """A place at the server with the lightest load, as soon as one is free.

        Raises:
            ServersDownError: they are known to be down, and it is not yet time to try them again.
        """
        while (server := self._lightest()) is None:
            self._raise_if_down()
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            opens_in = max(0.01, min(one.closed_until for one in self._servers) - time.monotonic())
            with contextlib.suppress(TimeoutError):
                # Without a closed server somebody in flight wakes us; with one, the clock may.
                await asyncio.wait_for(place, opens_in if opens_in > 0.01 else _LOOK_AGAIN_S)
        server.in_flight += 1
        try:
            yield server
        finally:
            server.in_flight -= 1
            self._wake()

    def has_answered(self) -> None:
        """A server has answered a request."""
        self.answered += 1
        self._answered_at = time.monotonic()
        self._down = ""

    def check_alive(self, words: str) -> None:
        """See whether there is still a server to hope for; `words` say what the last trouble was.

        Raises:
            ServersDownError: there is none.
        """
        now = time.monotonic()
        silent_s = now - self._answered_at
        turning_away = [server for server in self._servers if now - server.turned_away_at > self._give_up_s]
        if silent_s > self._give_up_s and all(server.out or server in turning_away for server in self._servers):
            urls = ", ".join(server.url for server in self._servers)
            self._down = (f"no answer from {urls} for {silent_s:.0f} s; the last trouble: {words}\n"
                          f"{_USED_UP if turning_away else _START_AGAIN}")
            for place in self._waiting:
                if not place.done():
                    place.set_result(None)
            self._waiting.clear()
        self._raise_if_down()

    def _raise_if_down(self) -> None:
        """Those who wait, and those who come later, need not wait as long to learn it."""
        if self._down:
            raise ServersDownError(self._down)

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            await server.close()

    def _lightest(self) -> Server | None:
        now = time.monotonic()
        free = [server for server in self._servers if server.free_places(now)]
        return min(free, key=lambda server: server.load, default=None)

    def _wake(self) -> None:
        """Let as many of those who wait look again as there is room."""
        now = time.monotonic()
        room = sum(server.free_places(now) for server in self._servers)
        while room > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                room -= 1
