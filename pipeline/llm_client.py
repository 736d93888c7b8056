"""Asks OpenAI-compatible servers; nobody else does, and nobody else retries a request.

- Several servers share the work by their load; a dead one is left out and tried again later.
- How many requests are in flight adapts to each server: it grows while latency holds and halves on trouble.
- 408, 429, 5xx, timeouts, dropped connections and half answers are retried with backoff and jitter; Retry-After
  is honoured for the whole server.
- A budget is reserved before a request is sent, so that it is not overrun by what is in flight.
- The key is sent and never said: it is removed from every text that comes back.

This is a leaf: it imports nothing else of `pipeline`.
"""

import asyncio
import base64
import contextlib
import email.utils
import hashlib
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import openai

Part = str | bytes
"""A piece of a message: text, or a JPEG."""

_TRIES = 8
"""Sendings of one request that others survive before it is given up."""
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LONGEST_RETRY_AFTER_S = 0.5, 30.0, 600.0
_FAILURES_OUT = 3
"""Failures in a row from which a server is left out."""
_FIRST_OUT_S, _LONGEST_OUT_S = 1.0, 60.0
_WRONG_SETUP = frozenset({401, 403, 404})
_WORTH_A_RETRY = frozenset({408, 409, 425, 429})
_REFUSALS_AT_FIRST = 8
"""So many refused requests before any was answered mean that the setup is wrong, not the requests."""
_LONGEST_WORDS = 500
_POOL = 32


class ServerRefusesError(Exception):
    """No request can succeed as things are set up: wrong key, wrong model, wrong limits."""


class ServersDownError(Exception):
    """No server has answered for too long."""


class BudgetSpentError(Exception):
    """The next request could go over the budget. What was in flight has been answered."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: `role` is system, user or assistant."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: everything that decides the answer, and nothing else."""

    model: str
    messages: tuple[Message, ...]
    schema_name: str
    schema: dict[str, Any]
    max_tokens: int
    temperature: float = 0.0

    def key(self) -> str:
        """Hash of all of it, pictures by their bytes: 32 hex digits."""
        said = [self.model, self.schema_name, self.schema, self.max_tokens, self.temperature,
                [[message.role, [_named(part) for part in message.parts]] for message in self.messages]]
        text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def and_then(self, *messages: Message) -> "Request":
        """The same request with more turns at its end."""
        return replace(self, messages=(*self.messages, *messages))

    def body(self) -> bytes:
        """The HTTP body. Pictures are joined in as bytes: encoding them as JSON text would cost more than sending."""
        turns = [
            b'{"role":%s,"content":[%s]}' % (_json(message.role), b",".join(map(_part_json, message.parts)))
            for message in self.messages]
        rest = {
            "model": self.model, "max_tokens": self.max_tokens, "temperature": self.temperature,
            "response_format": {"type": "json_schema", "json_schema": {
                "name": self.schema_name, "schema": self.schema, "strict": True}}}
        return b'{"messages":[%s],%s' % (b",".join(turns), _json(rest)[1:])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    `finish_reason` is the server's (stop, length, content_filter), or ours: refusal (the model declines), refused
    (the server takes no such request; `text` says why), failed (every try failed while others went well).
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @property
    def final(self) -> bool:
        """Whether a model said this; else the same request may be answered another time."""
        return self.finish_reason not in ("refused", "failed")


class Budget:
    """Tokens and money of one build, shared by its clients. For one event loop."""

    def __init__(self, max_tokens: int | None = None, max_cost: float | None = None) -> None:
        """No limit where None. `max_cost` is in the currency of the prices."""
        self.max_tokens, self.max_cost = max_tokens, max_cost
        self.tokens, self.cost = 0, 0.0
        self.spent = False
        self._held_tokens, self._held_cost, self._held = 0, 0.0, 0
        self._settled = asyncio.Event()

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.max_tokens is not None or self.max_cost is not None

    def spend(self, tokens: int, cost: float) -> None:
        """Count what was used."""
        self.tokens += tokens
        self.cost += cost

    @contextlib.asynccontextmanager
    async def hold(self, tokens: int, cost: float) -> AsyncIterator[None]:
        """Keep room for a request; waits for others to settle where they may leave room.

        Raises:
            BudgetSpentError: there is no room, and nothing in flight that could leave any.
        """
        while not self._fits(tokens, cost):
            if not self._held or self.spent:
                self.spent = True
                self._settled.set()
                raise BudgetSpentError(
                    f"the budget is spent: {self.tokens} tokens, {self.cost:.4f} paid, and the next request may take "
                    f"{tokens} tokens, {cost:.4f} more; raise --max-tokens or --max-cost and run it again to go on")
            self._settled.clear()
            await self._settled.wait()
        self._held, self._held_tokens, self._held_cost = (
            self._held + 1, self._held_tokens + tokens, self._held_cost + cost)
        try:
            yield
        finally:
            self._held, self._held_tokens, self._held_cost = (
                self._held - 1, self._held_tokens - tokens, self._held_cost - cost)
            self._settled.set()

    def _fits(self, tokens: int, cost: float) -> bool:
        tokens_fit = self.max_tokens is None or self.tokens + self._held_tokens + tokens <= self.max_tokens
        cost_fits = self.max_cost is None or self.cost + self._held_cost + cost <= self.max_cost + 1e-12
        return tokens_fit and cost_fits


class AdaptiveLimit:
    """How many requests a server may have at a time.

    It doubles each round until the first trouble or until latency rises, then grows by one a round; trouble
    halves it, at most once a round. It grows only when it is made use of.
    """

    _HOLDS = 3.0
    """Latency holds while it is below so many times the best mean: a batching server slows a little as it fills."""

    def __init__(self, most: int, first: int = 16) -> None:
        self._most = most
        self.value = float(min(first, most))
        self._doubling = True
        self._mean_s = self._best_s = 0.0
        self._cut_at = float("-inf")

    def went_well(self, seconds: float, in_flight: int) -> None:
        """A request was answered after `seconds`, when `in_flight` were on their way."""
        self._mean_s = seconds if not self._mean_s else 0.9 * self._mean_s + 0.1 * seconds
        # The best is forgotten slowly: a server may have other work, or other requests, for good.
        self._best_s = self._mean_s if not self._best_s else min(self._best_s * 1.0005, self._mean_s)
        if self._mean_s > self._HOLDS * self._best_s:
            self._doubling = False
        elif in_flight + 1 >= int(self.value):
            self.value = min(self._most, self.value + (1.0 if self._doubling else 1.0 / self.value))

    def went_wrong(self, sent_at: float, now: float) -> None:
        """A request sent at `sent_at` met trouble."""
        if sent_at < self._cut_at:
            return  # sent before the last cut: the same trouble
        self._doubling = False
        self.value = max(1.0, self.value / 2)
        self._cut_at = now


class _TroubleError(Exception):
    """A sending that may go better another time."""

    def __init__(self, what: str, words: str, retry_after_s: float | None = None) -> None:
        super().__init__(words)
        self.what, self.retry_after_s = what, retry_after_s


class _Server:
    """One URL and how it does."""

    def __init__(self, url: str, key: str | None, most: int, timeout_s: float) -> None:
        self.url = url
        # Several connection pools, as a pool looks through all its connections for every request.
        self.clients = [
            openai.AsyncOpenAI(
                base_url=url, api_key=key or "none", max_retries=0, timeout=openai.Timeout(timeout_s, connect=10.0))
            for _ in range(-(-most // _POOL))]
        self._turn = 0
        self.limit = AdaptiveLimit(most)
        self.in_flight = 0
        self.closed_until = float("-inf")
        self.failures = 0

    def next_client(self) -> openai.AsyncOpenAI:
        """The clients in turns."""
        self._turn = (self._turn + 1) % len(self.clients)
        return self.clients[self._turn]

    @property
    def out(self) -> bool:
        return self.failures >= _FAILURES_OUT

    def has_room(self, now: float) -> bool:
        room = 1 if self.out else int(self.limit.value)  # one request tries whether it is back
        return now >= self.closed_until and self.in_flight < room

    def went_wrong(self, trouble: _TroubleError, sent_at: float) -> None:
        now = time.monotonic()
        self.limit.went_wrong(sent_at, now)
        if trouble.retry_after_s is not None:
            self.closed_until = max(self.closed_until, now + min(trouble.retry_after_s, _LONGEST_RETRY_AFTER_S))
        if trouble.what == "429":
            return  # busy, not dead
        self.failures += 1
        if self.out:
            rounds = min(self.failures - _FAILURES_OUT, 16)
            self.closed_until = max(self.closed_until, now + min(_LONGEST_OUT_S, _FIRST_OUT_S * 2 ** rounds))


class LlmClient:
    """Asks one model on one or more servers. All of it runs in one event loop."""

    def __init__(
        self, urls: Sequence[str], *, key: str | None = None, budget: Budget | None = None,
        price_in: float = 0.0, price_out: float = 0.0, most_in_flight: int = 256, timeout_s: float = 300.0,
        give_up_s: float = 600.0,
    ) -> None:
        """Nothing is sent yet.

        Args:
            urls: base URLs, http://host:port/v1.
            key: sent as bearer token; None where the servers ask for none.
            budget: shared with other clients.
            price_in: price of a million prompt tokens.
            price_out: price of a million answer tokens.
            most_in_flight: upper limit for each server.
            timeout_s: longest wait for one answer, seconds.
            give_up_s: longest time without any answer from any server, seconds.
        """
        self._servers = [_Server(url, key, most_in_flight, timeout_s) for url in urls]
        self._key, self._budget, self._timeout_s, self._give_up_s = key, budget or Budget(), timeout_s, give_up_s
        self._price_in, self._price_out = price_in, price_out
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._largest_prompt = 0
        self._first = asyncio.Lock()
        self._answered_at = time.monotonic()
        self._answered = 0
        self._down = False
        self._dice = random.Random()  # jitter only: no answer depends on it
        self.counts: Counter[str] = Counter()
        """sent, answered, refused, and the troubles by kind: sent is the sum of the others once all are back."""

    @property
    def in_flight(self) -> int:
        """Requests on their way now."""
        return sum(server.in_flight for server in self._servers)

    @property
    def limits(self) -> dict[str, int]:
        """How many requests each server may have now, by URL."""
        return {server.url: int(server.limit.value) for server in self._servers}

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self._price_in + completion_tokens * self._price_out) / 1e6

    async def ask(self, request: Request) -> Answer:
        """Ask until there is an answer, or it is known that there will be none.

        Raises:
            BudgetSpentError: there is no budget for it.
            ServerRefusesError: no request can succeed as things are set up.
            ServersDownError: no server answers.
        """
        if self._budget.limited and not self._largest_prompt:
            async with self._first:  # alone, as it is not known yet what a prompt takes
                return await self._ask_within_budget(request)
        return await self._ask_within_budget(request)

    def expect_prompt(self, tokens: int) -> None:
        """Let the budget reserve so many tokens at least for a prompt, as earlier ones took."""
        self._largest_prompt = max(self._largest_prompt, tokens)

    async def count_tokens(self, model: str, texts: Sequence[str]) -> list[int] | None:
        """Tokens of each text, counted by the model's own tokenizer; None where the server has no such service.

        vLLM has it (`/tokenize`); OpenAI's own API has not.
        """
        async def count(text: str) -> Any:
            body = _json({"model": model, "prompt": text, "add_special_tokens": False})
            return await self._with_retries(lambda: body, "tokenize", _read_count)

        try:
            first = [await count(text) for text in texts[:1]]
        except ServerRefusesError:
            return None
        counts = first + await asyncio.gather(*(count(text) for text in texts[1:]))
        return counts if all(isinstance(one, int) for one in counts) else None

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            for client in server.clients:
                await client.close()

    async def _ask_within_budget(self, request: Request) -> Answer:
        prompt, answer = self._largest_prompt, request.max_tokens
        async with self._budget.hold(prompt + answer, self.cost(prompt, answer)):
            return await self._ask(request)

    async def _ask(self, request: Request) -> Answer:
        answer = await self._with_retries(request.body, "chat/completions", self._read)
        if isinstance(answer, str):
            return Answer(answer, "failed", 0, 0, 0.0)
        if answer.finish_reason != "refused":
            self.expect_prompt(answer.prompt_tokens)
            self._budget.spend(answer.prompt_tokens + answer.completion_tokens,
                               self.cost(answer.prompt_tokens, answer.completion_tokens))
        return answer

    async def _with_retries(self, body: Callable[[], bytes], path: str, read: Any) -> Any:
        """What `read` makes of the answer; the last trouble's words when others are answered and this one never.

        The body is made when there is a place for it: those who wait would fill the memory with theirs.
        """
        if not self.in_flight and not self._down:
            self._answered_at = time.monotonic()  # nobody was asked, so nobody was silent
        answered_before, tries = self._answered, 0
        while True:
            async with self._seat() as server:
                sent_at = time.monotonic()
                try:
                    return await self._send(server, body(), path, read, sent_at)
                except _TroubleError as error:
                    trouble = error
                    self.counts[trouble.what] += 1
                    server.went_wrong(trouble, sent_at)
            tries += 1
            if tries >= _TRIES and self._answered > answered_before:
                return str(trouble)
            self._check_alive(str(trouble))
            longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries, 16))
            await asyncio.sleep(max(trouble.retry_after_s or 0.0, self._dice.uniform(0.25, 1.0) * longest))

    async def _send(self, server: _Server, body: bytes, path: str, read: Any, sent_at: float) -> Any:
        self.counts["sent"] += 1
        fault: Exception
        try:
            # A server that sends a byte now and then would never meet the client's own timeout.
            async with asyncio.timeout(self._timeout_s):
                text = await server.next_client().post(
                    _path(server.url, path), content=body, cast_to=str,
                    options={"headers": {"content-type": "application/json"}})
        except (TimeoutError, openai.APITimeoutError):
            fault = _TroubleError("timeout", f"no answer within {self._timeout_s:g} s")
        except openai.APIStatusError as error:
            fault = error
        except openai.APIConnectionError as error:
            fault = _TroubleError("dropped", self._without_key(f"{error} {error.__cause__ or ''}"))
        else:
            return self._take(server, read(self._without_key(text), time.monotonic() - sent_at), sent_at)
        # Out of the `except`: what is raised must not carry the client's exception, which holds request and key.
        if isinstance(fault, openai.APIStatusError):
            return self._refused(server, path, fault)
        raise fault

    def _take(self, server: _Server, answer: Any, sent_at: float) -> Any:
        self.counts["answered"] += 1
        self._answered += 1
        self._answered_at = time.monotonic()
        self._down = False
        server.failures = 0
        server.limit.went_well(self._answered_at - sent_at, server.in_flight)
        return answer

    def _refused(self, server: _Server, path: str, error: openai.APIStatusError) -> Answer:
        """An answer that is no answer; the exception itself goes no further, for it holds the request."""
        status, words = error.status_code, self._without_key(error.message)[:_LONGEST_WORDS]
        if status >= 500 or status in _WORTH_A_RETRY:
            wait = _retry_after(error.response.headers.get("retry-after"))
            raise _TroubleError(str(status), f"the server answered {status}: {words}", wait)
        self.counts["refused"] += 1
        if status in _WRONG_SETUP or path == "tokenize":
            raise ServerRefusesError(f"{server.url} answers {status}: {words}\n{_MEND.get(status, '')}")
        if not self._answered and self.counts["refused"] >= _REFUSALS_AT_FIRST:
            raise ServerRefusesError(
                f"{server.url} refused the first {self.counts['refused']} requests, the last with {status}: {words}\n"
                "See that the server allows as many images and tokens as are asked for.")
        server.failures = 0
        return Answer(f"{status}: {words}", "refused", 0, 0, 0.0)

    def _read(self, text: str, seconds: float) -> Answer:
        try:
            said = json.loads(text)
            choice = said["choices"][0]
            usage = said.get("usage") or {}
            message = choice["message"]
            refusal = message.get("refusal")
            ended = "refusal" if refusal else choice.get("finish_reason") or "stop"
            answer = Answer(
                refusal or message.get("content") or "", ended,
                int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), round(seconds, 3))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise _TroubleError("half_answer", f"not a whole answer: {text[:_LONGEST_WORDS]}") from None
        if self._budget.limited and not usage:
            raise ServerRefusesError("the server does not say how many tokens an answer took, so --max-tokens and "
                                     "--max-cost cannot be kept; leave them out or use another server")
        return answer

    @contextlib.asynccontextmanager
    async def _seat(self) -> AsyncIterator[_Server]:
        """A place at the server with the lightest load, as soon as one is free."""
        while (server := self._lightest()) is None:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            opens_in = max(0.01, min(one.closed_until for one in self._servers) - time.monotonic())
            with contextlib.suppress(TimeoutError):
                # Without a closed server somebody in flight wakes us; with one, the clock may.
                await asyncio.wait_for(place, opens_in if opens_in > 0.01 else 5.0)
        server.in_flight += 1
        try:
            yield server
        finally:
            server.in_flight -= 1
            self._wake()

    def _lightest(self) -> _Server | None:
        now = time.monotonic()
        free = [server for server in self._servers if server.has_room(now)]
        return min(free, key=lambda server: server.in_flight / server.limit.value, default=None)

    def _wake(self) -> None:
        """Let as many of those who wait look again as there is room."""
        now = time.monotonic()
        room = sum(max(0, int(server.limit.value) - server.in_flight) for server in self._servers
                   if server.has_room(now))
        while room > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                room -= 1

    def _check_alive(self, words: str) -> None:
        silent_s = time.monotonic() - self._answered_at
        if (self._down or silent_s > self._give_up_s) and all(server.out for server in self._servers):
            self._down = True  # what is asked from now on need not wait as long to learn it
            urls = ", ".join(server.url for server in self._servers)
            raise ServersDownError(f"no answer from {urls} for {silent_s:.0f} s; the last trouble: {words}\n"
                                   "Start the server again; the same command goes on.")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


_MEND = {
    401: "The key is wrong or missing: set VICO_CAPTION_API_KEY or VICO_ORDER_API_KEY in the environment.",
    403: "The key may not use this model.",
    404: "The model or the path does not exist there: see --caption-model, and that the URL ends as the server "
         "expects, usually in /v1.",
}


def _path(base_url: str, path: str) -> str:
    """vLLM's /tokenize lies beside /v1, not under it, so it is named by its whole URL."""
    return f"{base_url.removesuffix('/v1')}/{path}" if path == "tokenize" else f"/{path}"


def _named(part: Part) -> Any:
    return part if isinstance(part, str) else {"jpeg": hashlib.sha256(part).hexdigest()}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _part_json(part: Part) -> bytes:
    if isinstance(part, str):
        return _json({"type": "text", "text": part})
    return (b'{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,'
            + base64.b64encode(part) + b'"}}')


def _read_count(text: str, _: float) -> int:
    try:
        return int(json.loads(text)["count"])
    except (ValueError, KeyError, TypeError):
        raise _TroubleError("half_answer", f"not a count of tokens: {text[:_LONGEST_WORDS]}") from None


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        date = email.utils.parsedate_tz(value)
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
