"""Bodies go up to a server one after the other.

Sent all at once they share the line and the processor: the first arrives as late as the last, and the server gets its
work in bursts with idle time between them. In turns, a server that takes two seconds an answer is kept 95 % busy by
256 requests in flight, else 80 % (`python -m benchmarks.served stub`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

_TURN_S = 0.01
"""For so long a body has the server to itself. A slow or stalled line then carries several at a time."""


class UploadTurns:
    """Whose body is on its way up to one server."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def take(self, make_body: Callable[[], bytes]) -> AsyncIterator[tuple[AsyncIterator[bytes], int]]:
        """The body, made when its turn comes, as something to send from, and its length in bytes.

        The turn ends when the body has been written out, with the block, or after a while.
        """
        await self._turn.acquire()
        has_turn = True

        def end_turn() -> None:
            nonlocal has_turn
            if has_turn:
                has_turn = False
                self._turn.release()

        async def send_from(body: bytes) -> AsyncIterator[bytes]:
            yield body
            end_turn()

        at_latest = asyncio.get_running_loop().call_later(_TURN_S, end_turn)
        try:
            body = make_body()
            yield send_from(body), len(body)
        finally:
            at_latest.cancel()
            end_turn()
