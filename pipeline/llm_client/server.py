"""One server: sending to it, and how it does."""

import asyncio
import email.utils
import time
from collections.abc import Callable

import openai

from pipeline.llm_client.adaptive_limit import AdaptiveLimit
from pipeline.llm_client.answer import LONGEST_WORDS
from pipeline.llm_client.errors import TroubleError
from pipeline.llm_client.upload import UploadTurns

_WORTH_A_RETRY = frozenset({408, 409, 425, 429})
_LONGEST_RETRY_AFTER_S = 600.0
_FAILURES_OUT = 3
"""Failures in a row from which a server is left out."""
_FIRST_OUT_S, _LONGEST_OUT_S = 1.0, 60.0
_POOL = 32


class RefusedError(Exception):
    """The server takes no such request, and would not another time."""

    def __init__(self, url: str, status: int, words: str) -> None:
        """An HTTP status of a server, and what it says."""
        super().__init__(f"{url} answers {status}: {words}")
        self.status = status


class Server:
    """One base URL, http://host:port/v1. For one event loop."""

    def __init__(self, url: str, key: str | None, most_in_flight: int, timeout_s: float) -> None:
        """Nothing is sent yet; see `ServerPool` for the arguments."""
        self.url = url
        self._key, self._timeout_s = key, timeout_s
        # Several connection pools, as a pool looks through all its connections for every request.
        self._clients = [
            openai.AsyncOpenAI(
                base_url=url, api_key=key or "none", max_retries=0, timeout=openai.Timeout(timeout_s, connect=10.0))
            for _ in range(-(-most_in_flight // _POOL))]
        self._next = 0
        self._uploads = UploadTurns()
        self.limit = AdaptiveLimit(most_in_flight)
        self.in_flight = 0
        self.closed_until = float("-inf")
        """Time of the monotonic clock before which nothing is sent."""
        self.turned_away_at = float("inf")
        """Time of the monotonic clock since which it has said nothing but 429: too many requests, or a quota that is
        used up."""
        self._failures = 0
        self._times_out, self._left_out_at = 0, float("-inf")

    @property
    def out(self) -> bool:
        """Whether it has failed so often that one request at a time tries whether it is back."""
        return self._failures >= _FAILURES_OUT

    @property
    def load(self) -> float:
        """Requests on their way, as a share of what it may have."""
        return self.in_flight / self.limit.value

    def free_places(self, now: float) -> int:
        """How many requests may be sent now."""
        places = 1 if self.out else int(self.limit.value)
        return max(0, places - self.in_flight) if now >= self.closed_until else 0

    async def post(self, path: str, make_body: Callable[[], bytes]) -> str:
        """The body of its answer. The key is in no text that comes from here.

        Raises:
            TroubleError: it may go better another time.
            RefusedError: it will not.
        """
        self._next = (self._next + 1) % len(self._clients)
        try:
            # A server that sends a byte now and then would never meet the client's own timeout.
            async with asyncio.timeout(self._timeout_s), self._uploads.take(make_body) as (content, length):
                text = await self._clients[self._next].post(
                    _path(self.url, path), content=content, cast_to=str,
                    options={"headers": {"content-type": "application/json", "content-length": str(length)}})
                return self._without_key(text)
        except (TimeoutError, openai.APITimeoutError):
            trouble = TroubleError("timeout", f"no answer within {self._timeout_s:g} s")
        except openai.APIStatusError as error:
            trouble = self._not_answered(error)
        except openai.APIConnectionError as error:
            trouble = TroubleError("dropped", self._without_key(f"{error} {error.__cause__ or ''}"))
        # Out of the `except`: what is raised must not carry the library's exception, which holds request and key.
        raise trouble

    def went_well(self, kind: str, sent_at: float, now: float) -> None:
        """A request of some kind, sent then, has been answered."""
        self._is_alive()
        self.limit.went_well(kind, now - sent_at, self.in_flight)

    def refused(self) -> None:
        """It said no, so it is alive."""
        self._is_alive()

    def went_wrong(self, trouble: TroubleError, sent_at: float, now: float) -> None:
        """A request sent then met trouble."""
        self.limit.went_wrong(sent_at, now)
        if trouble.retry_after_s is not None:
            self.closed_until = max(self.closed_until, now + trouble.retry_after_s)
        if trouble.what == "429":
            self.turned_away_at = min(self.turned_away_at, now)
            return  # busy, not dead
        self._failures += 1
        if self.out and sent_at >= self._left_out_at:  # those sent before met the same trouble
            self._left_out_at = now
            self.closed_until = max(self.closed_until, now + min(_LONGEST_OUT_S, _FIRST_OUT_S * 2 ** self._times_out))
            self._times_out = min(self._times_out + 1, 16)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.close()

    def _is_alive(self) -> None:
        self._failures, self._times_out, self.turned_away_at = 0, 0, float("inf")

    def _not_answered(self, error: openai.APIStatusError) -> TroubleError | RefusedError:
        status, words = error.status_code, self._without_key(error.message)[:LONGEST_WORDS]
        if status >= 500 or status in _WORTH_A_RETRY:
            wait = _retry_after(error.response.headers.get("retry-after"))
            return TroubleError(str(status), f"the server answered {status}: {words}", wait)
        return RefusedError(self.url, status, words)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def _path(base_url: str, path: str) -> str:
    """vLLM's /tokenize lies beside /v1, not under it, so it is named by its whole URL."""
    return f"{base_url.removesuffix('/v1')}/{path}" if path == "tokenize" else f"/{path}"


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date, which means little where a clock is wrong."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        date = email.utils.parsedate_tz(value)
        if date is None:
            return None
        seconds = email.utils.mktime_tz(date) - time.time()
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_S)
