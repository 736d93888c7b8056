"""A model server that speaks the OpenAI protocol, and fails on purpose.

Its right answers depend on the pictures and the schema of a request alone, so whoever gets through all faults has
what a faultless server would have said. Faults fall on a share of the requests, in every kind there is.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.llm_client import Message, Request
from pipeline.meaning import KNOWN

KINDS = ("429", "500", "503", "hang", "half", "drop", "wrong_json", "wrong_shape", "cut_off", "empty")
IN_THE_ANSWER = frozenset({"wrong_json", "wrong_shape", "cut_off", "empty"})
"""Faults of what is said: only on the first request about a thing, as a model that is told its fault mends it."""
_HANGS_S = 600


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    key: str
    """The key under which its answer is to be stored, worked out from what came; the texts to be embedded."""
    schema_name: str
    outcome: str
    """A kind of fault, or answered."""
    began: float
    in_flight: int


class FaultServer:
    """Serves in a thread of its own for the time of a `with` block."""

    def __init__(
        self, *, fault_share: float = 0.0, kinds: tuple[str, ...] = KINDS, key: str | None = None, seed: int = 0,
        delay_s: float | tuple[float, float] = 0.0, say: Callable[[dict[str, Any]], str] | None = None,
        counts_tokens: bool = True, retry_after: str = "1",
        embed: Callable[[str], Sequence[float]] | None = None,
    ) -> None:
        """What it does.

        Args:
            fault_share: share of the requests that meet a fault.
            kinds: the faults, which take turns.
            key: the only key it takes, and shouts in every error; None for none.
            seed: of the choice of requests and delays, and the fault that comes first.
            delay_s: seconds before an answer, or a range to draw from.
            say: the answer to a request's body, in place of `right_answer`.
            counts_tokens: whether there is a /tokenize.
            retry_after: what 429 says.
            embed: the embedding of a text, in place of `right_embedding`.
        """
        self._share, self._kinds, self._key, self._dice = fault_share, kinds, key, random.Random(seed)
        self._delay = delay_s if isinstance(delay_s, tuple) else (delay_s, delay_s)
        self._say, self._counts_tokens, self._retry_after = say or right_answer, counts_tokens, retry_after
        self._embed = embed or right_embedding
        self.seen: list[Seen] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self._spoilt: set[str] = set()
        self._turn = seed
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    def outcomes(self) -> Counter[str]:
        """How many requests came to what."""
        return Counter(seen.outcome for seen in self.seen)

    def __enter__(self) -> "FaultServer":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 25, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._request(reader, writer):
                pass
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {name.strip().lower(): value.strip()
                   for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = head.split(" ", 2)[1]
        if self._key and headers.get("authorization") != f"Bearer {self._key}":
            return _write(writer, 401, {"error": {"message": f"wrong key, not {self._key}"}})
        if path == "/tokenize" and self._counts_tokens:
            return _write(writer, 200, {"count": len(json.loads(body)["prompt"].encode()) // 4 + 1})
        if path not in ("/v1/chat/completions", "/v1/embeddings"):
            return _write(writer, 404, {"error": {"message": f"no {path} here"}})
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            return await self._complete(body, writer)
        finally:
            self._in_flight -= 1

    async def _complete(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        said = json.loads(body)
        fault = self._fault(said)
        embeds = "input" in said
        name = "embeddings" if embeds else said["response_format"]["json_schema"]["name"]
        key = "\n".join(said["input"]) if embeds else _key(said)
        self.seen.append(Seen(key, name, fault or "answered", self._loop.time(), self._in_flight))
        await asyncio.sleep(self._dice.uniform(*self._delay))
        if fault in ("429", "500", "503"):
            more = {"retry-after": self._retry_after} if fault == "429" else {}
            return _write(writer, int(fault), {"error": {"message": f"no luck, {self._key}"}}, more)
        if fault == "hang":
            await asyncio.sleep(_HANGS_S)
        if fault in ("drop", "hang"):
            return False
        answer = self._embeddings(said, fault) if embeds else _completion(said, *self._answer(said, fault))
        if fault == "half":
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            return False
        writer.write(answer)
        await writer.drain()
        return True

    def _fault(self, said: dict[str, Any]) -> str | None:
        if self._dice.random() >= self._share:
            return None
        fault = self._kinds[self._turn % len(self._kinds)]
        self._turn += 1
        if fault in IN_THE_ANSWER:
            about = _about(said)
            if about in self._spoilt:
                return None
            self._spoilt.add(about)
        return fault

    def _embeddings(self, said: dict[str, Any], fault: str | None) -> bytes:
        """Rows in another order than that of the texts, as the protocol allows."""
        data = [{"object": "embedding", "index": number, "embedding": list(self._embed(text))}
                for number, text in enumerate(said["input"])][::-1]
        wrong = {"wrong_json": "Sure!", "wrong_shape": data[1:], "cut_off": [*data[:-1], data[-1] | {"embedding": []}],
                 "empty": []}
        tokens = sum(len(text.split()) for text in said["input"])
        return _response(200, {
            "object": "list", "model": said["model"], "data": wrong.get(fault or "", data),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})

    def _answer(self, said: dict[str, Any], fault: str | None) -> tuple[str, str]:
        right = self._say(said)
        wrong = {"wrong_json": "Sure! Here you are: " + right[1:], "wrong_shape": '{"account": []}', "empty": ""}
        if fault == "cut_off":
            return right[: len(right) // 2], "length"
        return wrong.get(fault or "", right), "stop"


def _key(said: dict[str, Any]) -> str:
    """The key of the request that a body was made from."""
    def part(piece: dict[str, Any]) -> str | bytes:
        return piece["text"] if piece["type"] == "text" else base64.b64decode(
            piece["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))

    shape = said["response_format"]["json_schema"]
    return Request(
        said["model"], tuple(Message(turn["role"], tuple(map(part, turn["content"]))) for turn in said["messages"]),
        shape["name"], shape["schema"], said["max_tokens"], said["temperature"]).key()


def right_embedding(text: str) -> list[float]:
    """A direction for each word of what a text means, added up; another moment of a scene is another thing."""
    said = {in_other_words: moment for moment, in_other_words, _ in KNOWN}.get(text, text)
    words = [text] if text in {other for _, _, other in KNOWN} else said.casefold().split()
    return np.sum([_direction(word.strip(".,!?")) for word in words or [""]], axis=0).tolist()


def _direction(word: str) -> np.ndarray:
    dice = random.Random(word)
    return np.array([dice.gauss(0, 1) for _ in range(64)])


def right_answer(said: dict[str, Any]) -> str:
    """The answer that follows from pictures and schema."""
    schema = said["response_format"]["json_schema"]["schema"]
    words = _words(_about(said))
    if "sentences" in schema["properties"]:
        last = schema["properties"]["key_events"]["items"]["properties"]["end_second"]["maximum"]
        return json.dumps({
            "setting": f"a {words[0]} place", "subjects": [words[1], words[2]], "actions": ["moves"],
            "on_screen_text": [],
            "sentences": [f"A {words[0]} {words[1]} {words[2]} {words[3]} the {words[4]}.",
                          f"The {words[5]} {words[6]} near a {words[7]}."],
            "key_events": [
                {"start_second": 0, "end_second": last, "text": f"{words[3]} {words[4]} {words[8]} begins"}]})
    if "clues" in schema["properties"]:
        return json.dumps({"clues": _one_clue_a_clip(schema)})
    return json.dumps({"order": list(range(1, schema["properties"]["order"]["maxItems"] + 1))})


def _one_clue_a_clip(schema: dict[str, Any]) -> list[dict[str, str]]:
    known = schema["properties"]["clues"]["items"]["properties"]["where"]["enum"]
    firsts = [where for where in known if where.endswith(".0")]
    clues = []
    for where in firsts:
        words = _words(where)
        clues.append({"where": where, "text": f"A {words[0]} {words[1]} {words[2]} by a {words[3]}."})
    return clues


def _about(said: dict[str, Any]) -> str:
    """What a request is about: its pictures and its schema, or its texts."""
    if "input" in said:
        return "\n".join(said["input"])
    parts = [part for message in said["messages"] if message["role"] == "user" and isinstance(message["content"], list)
             for part in message["content"]]
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    schema = json.dumps(said["response_format"]["json_schema"]["schema"], sort_keys=True)
    return hashlib.sha256("\n".join([*pictures, schema]).encode()).hexdigest()


def _words(about: str) -> list[str]:
    """Nine made-up words that hardly anything else has."""
    dice = random.Random(about)
    return ["".join(dice.choice("bdfgklmnprstvz") + dice.choice("aeiou") for _ in range(3)) for _ in range(9)]


def _completion(said: dict[str, Any], text: str, ended: str) -> bytes:
    return _response(200, {
        "id": "c", "object": "chat.completion", "created": 1, "model": said["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": ended}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}})


def _response(status: int, values: dict[str, Any], headers: dict[str, str] | None = None) -> bytes:
    body = json.dumps(values).encode()
    lines = [f"HTTP/1.1 {status} Said", "content-type: application/json", f"content-length: {len(body)}",
             *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _write(writer: asyncio.StreamWriter, *response: Any) -> bool:
    writer.write(_response(*response))
    return True
