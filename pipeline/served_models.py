"""Questions to model servers, each asked once: found among the stored answers, else asked, stored, read, and where it
cannot be read asked again with the fault.

Every answer is stored as it came, under the key of its own request; the way from there to a value is computed anew
each time. So a build from stored answers takes the same steps as the one that paid for them.
"""

import asyncio
import base64
import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.answer_reading import UnusableAnswerError
from pipeline.answer_store import AnswerStore
from pipeline.llm_client import (
    Answer,
    Budget,
    BudgetSpentError,
    GivenUpError,
    LlmClient,
    Message,
    Request,
    ServerRefusesError,
)
from pipeline.model_servers import Role, clients_of, server_pools
from pipeline.prompt_files import load_prompt
from pipeline.shared_answers import SharedAnswers
from pipeline.shared_files import SharedFiles
from pipeline.shared_run import Stop
from pipeline.work_store import key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Reason

REPAIRS = 2
"""How often a model is told what is wrong with its answer."""
REPAIR_BYTES = 1500
"""Most bytes, and so most tokens, that telling it adds to a request."""
_REPEATED_BYTES = 900
EMBEDDED_AT_ONCE = 64
"""Most texts of one request for embeddings."""


class StoppedError(Exception):
    """The build cannot go on with this video now, and can another time: the budget is spent, or an answer that is
    not stored can be asked of nobody."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request with the way to read its answer; `read` raises UnusableAnswerError."""

    role: Role
    prompt: str
    request: Request
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question: a value, or the reason why there is none, with the raw text."""

    key: str
    value: Any = None
    reason: Reason | None = None
    detail: str = ""
    raw: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    """Every answer that it rests on, by key; more than one where the model had to be told a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the questions of one role and one model took, as the servers counted it."""

    role: Role
    model: str
    prompt: str
    questions: int
    answers: int
    unusable: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(slots=True)
class Tally:
    """What the questions of one stage of a video took, and the keys of all stored answers that it rests on."""

    usage: list[Usage] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


class ServedModels:
    """Asks the servers that a configuration names; for many threads, within a `with` block."""

    def __init__(
        self, config: BuildConfig, work: Path, stopping: Stop | None = None,
        shared: SharedFiles | None = None,
    ) -> None:
        """Read the stored answers.

        Args:
            config: the choices.
            work: folder of the build's store; answers are kept under it.
            stopping: once it is set no further request is sent.
            shared: the answers that several machines see; None where this one works alone.

        Raises:
            AnswersMissingError: `--answers` names a folder without answers.
        """
        self._stopping = stopping or threading.Event()
        self._store = AnswerStore(work / "answers", [Path(path) for path in config.answers])
        self.shared = SharedAnswers(shared, self._store) if shared is not None else None
        self._budget = Budget(config.max_tokens, config.max_cost)
        self._pools = server_pools(config)
        self._clients = clients_of(config, self._pools, self._budget)
        self._most_waiting = 2 * config.requests_in_flight * max(1, len(config.caption_urls), len(config.order_urls))
        self._asking: dict[str, asyncio.Task[Any]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served-models", daemon=True)
        self._local = threading.local()
        if self._budget.limited:
            if self.shared is not None:
                self.shared.bring()
            self._count_what_was_paid()

    def __enter__(self) -> "ServedModels":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._store.close()

    @property
    def spent(self) -> bool:
        """Whether the budget has stopped a request."""
        return self._budget.spent

    def counts(self) -> dict[str, Counter[str]]:
        """What happened to the requests of this run, by role; see `LlmClient.counts`."""
        return {role: client.counts for role, client in self._clients.items()}

    def replies(self, questions: Iterable[Question]) -> list[Reply]:
        """Ask all, as many at a time as the servers bear; questions are taken from the iterable as needed.

        Raises:
            StoppedError: the budget is spent, or answers are missing and there is no server.
            ServerRefusesError, ServersDownError: see `llm_client`. Whatever was in flight is stored before.
        """
        places = threading.BoundedSemaphore(self._most_waiting)
        on_reply = getattr(self._local, "on_reply", None)
        asked: list[tuple[tuple[Role, str, str], Future[Reply]]] = []
        failed = threading.Event()

        def done(future: Future[Reply]) -> None:
            places.release()
            if future.cancelled() or future.exception() is not None:
                failed.set()
            elif on_reply is not None:
                on_reply()

        for question in questions:
            places.acquire()
            if failed.is_set():
                break
            future = asyncio.run_coroutine_threadsafe(self._reply(question), self._loop)
            future.add_done_callback(done)
            # Not the question itself: it holds pictures.
            asked.append(((question.role, question.request.model, question.prompt), future))
        wait([future for _, future in asked])
        replies = [(whose, future.result()) for whose, future in asked]
        for whose, reply in replies:
            self._tallies().setdefault(whose, []).append(reply)
            self._keys().update(reply.answers)
        return [reply for _, reply in replies]

    def count_tokens(self, role: Role, model: str, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, by the server's own tokenizer, asked once.

        A server that does not count is made up for by the number of bytes: no tokenizer makes more tokens than that.
        """
        key = key_of("tokens", model, list(texts))
        self._keys().add(key)
        stored = self._store.find(key)
        if stored is None:
            counting = asyncio.run_coroutine_threadsafe(self._count_and_keep(key, role, model, texts), self._loop)
            return counting.result()
        return stored["counts"]

    def embeddings(self, model: str, texts: Sequence[str], of_the_video: bool = True) -> np.ndarray:
        """Unit vectors of texts, each asked once: float32 [texts, width].

        Args:
            model: the embedding model.
            texts: at least one; each takes its place among the stored answers by itself.
            of_the_video: whether they count to what the video took; else all videos share them.

        Raises:
            StoppedError: the budget is spent, the server fails at some of them, or there is none to ask.
            ServerRefusesError, ServersDownError: see `llm_client`; or another model answers by the same name now.
        """
        keys = {text: key_of("embedding", model, text) for text in texts}
        asking = self._embed_missing(model, {key: text for text, key in keys.items()})
        asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        records = {text: self._store.find(key) for text, key in keys.items()}
        if of_the_video:
            self._tallies().setdefault(("embeddings", model, "embedding"), []).extend(
                Reply(keys[text], answers={keys[text]: Answer("", "stop", record["prompt_tokens"], 0,
                                                              record["seconds"])})
                for text, record in records.items())
        vectors = {text: np.frombuffer(base64.b64decode(record["vector"]), "<f2") for text, record in records.items()}
        if len({len(vector) for vector in vectors.values()}) > 1:
            raise ServerRefusesError(f"the model {model} has made embeddings of several lengths; where another model "
                                     "took its name, give it a name of its own")
        rows = np.stack([vectors[text] for text in texts]).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    @contextlib.contextmanager
    def tally(self, on_reply: Callable[[], None] | None = None) -> Iterator[Tally]:
        """Collects what the questions of this thread take; it is filled when the block ends.

        `on_reply` is called, by another thread, for each of them that is through.
        """
        collected = Tally()
        self._local.tallies, self._local.keys, self._local.on_reply = {}, collected.keys, on_reply
        try:
            yield collected
            collected.usage.extend(_usage(*whose, replies) for whose, replies in sorted(self._tallies().items()))
        finally:
            self._local.tallies, self._local.keys, self._local.on_reply = {}, set(), None

    def _tallies(self) -> dict[tuple[Role, str, str], list[Reply]]:
        if not hasattr(self._local, "tallies"):
            self._local.tallies = {}
        return self._local.tallies

    def _keys(self) -> set[str]:
        if not hasattr(self._local, "keys"):
            self._local.keys = set()
        return self._local.keys

    async def _reply(self, question: Question) -> Reply:
        request = question.request
        first_key = request.key()
        answers: dict[str, Answer] = {}
        for repairs_left in reversed(range(REPAIRS + 1)):
            key = request.key()
            answer = answers[key] = await self._answer(key, request, question)
            try:
                return Reply(first_key, value=_read(answer, question), answers=answers)
            except UnusableAnswerError as fault:
                if not repairs_left or not answer.final:
                    return Reply(first_key, reason=_REASONS.get(answer.finish_reason, Reason.ANSWER_UNUSABLE),
                                 detail=str(fault), raw=answer.text, answers=answers)
                request = question.request.and_then(*_complaint(answer, fault, repairs_left))
        raise AssertionError("unreachable: the last round returns")

    async def _answer(self, key: str, request: Request, question: Question) -> Answer:
        """From the store, from a request on its way, or from a server."""
        client = self._clients.get(question.role)
        stored = self._store.find(key)
        if stored is not None:
            answer = _from_record(stored)
            if answer.final or client is None:
                return answer
        if client is None:
            raise StoppedError(
                f"no stored answer for {question.prompt}, and no server to ask (--caption-urls, --order-urls)")
        task = self._asking.get(key)
        if task is None and self._stopping.is_set():
            raise StoppedError("it was told to stop")
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._ask_and_keep(client, key, request, question))
            task.add_done_callback(lambda _: self._asking.pop(key))
        try:
            return await asyncio.shield(task)
        except BudgetSpentError as error:
            raise StoppedError(str(error)) from None

    async def _ask_and_keep(self, client: LlmClient, key: str, request: Request, question: Question) -> Answer:
        answer = await client.ask(request)
        await self._store.keep(key, {
            "role": question.role, "model": request.model, "prompt": question.prompt, "text": answer.text,
            "finish_reason": answer.finish_reason, "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens, "seconds": answer.seconds})
        return answer

    async def _embed_missing(self, model: str, texts: dict[str, str]) -> None:
        """Have the store hold the embeddings of texts, given by key; those on their way are waited for."""
        client = self._clients.get("embeddings")
        missing = [key for key in texts if key not in self._asking and self._store.find(key) is None]
        if missing and client is None:
            raise StoppedError("no stored embeddings of some texts, and no server to ask (--embedding-urls)")
        if missing and self._stopping.is_set():
            raise StoppedError("it was told to stop")
        for at in range(0, len(missing), EMBEDDED_AT_ONCE):
            batch = missing[at:at + EMBEDDED_AT_ONCE]
            task = asyncio.ensure_future(self._embed_and_keep(client, model, {key: texts[key] for key in batch}))
            self._asking |= dict.fromkeys(batch, task)
            task.add_done_callback(lambda _, batch=batch: [self._asking.pop(key) for key in batch])
        tasks = {self._asking[key] for key in texts if key in self._asking}
        outcomes = await asyncio.gather(*map(asyncio.shield, tasks), return_exceptions=True)
        faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if faults and isinstance(faults[0], BudgetSpentError | GivenUpError):
            raise StoppedError(str(faults[0])) from None
        if faults:
            raise faults[0]

    async def _embed_and_keep(self, client: LlmClient, model: str, texts: dict[str, str]) -> None:
        embedded = await client.embed(model, list(texts.values()))
        unit = embedded.vectors / np.linalg.norm(embedded.vectors, axis=1, keepdims=True)
        tokens = _shared_out(embedded.prompt_tokens, [len(text.encode()) for text in texts.values()])
        await asyncio.gather(*(
            self._store.keep(key, {
                "role": "embeddings", "model": model, "vector": base64.b64encode(row.astype("<f2").tobytes()).decode(),
                "prompt_tokens": count, "completion_tokens": 0, "seconds": round(embedded.seconds / len(texts), 4)})
            for key, row, count in zip(texts, unit, tokens, strict=True)))

    async def _count_and_keep(self, key: str, role: Role, model: str, texts: Sequence[str]) -> list[int]:
        client = self._clients.get(role)
        if client is None:
            raise StoppedError("no stored counts of tokens, and no server to ask (--order-urls)")
        counts = await client.count_tokens(model, texts)
        if counts is None:
            counts = [len(text.encode()) for text in texts]
        await self._store.keep(key, {"role": role, "model": model, "counts": counts})
        return counts

    def _count_what_was_paid(self) -> None:
        """The budget is the output's, not the run's: running the command again must not spend it again."""
        for key in self._store.own_keys:
            record = self._store.find(key)
            if record and "prompt_tokens" in record and record["role"] in self._clients:
                prompt, completion = record["prompt_tokens"], record["completion_tokens"]
                client = self._clients[record["role"]]
                self._budget.spend(prompt + completion, client.cost(prompt, completion))
                client.expect_prompt(prompt)

    async def _close(self) -> None:
        tasks = set(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for pool in set(self._pools.values()):
            await pool.close()


_REASONS = {
    "refusal": Reason.MODEL_REFUSED, "content_filter": Reason.MODEL_REFUSED, "refused": Reason.SERVER_REFUSED,
    "failed": Reason.SERVER_FAILED,
}


def _shared_out(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers of the given sum, about as the weights are to each other."""
    ends = [round(total * done / sum(weights)) for done in itertools.accumulate(weights)]
    return [end - start for start, end in itertools.pairwise([0, *ends])]


def _read(answer: Answer, question: Question) -> Any:
    if answer.finish_reason == "length":
        raise UnusableAnswerError(f"it was cut off after {answer.completion_tokens} tokens")
    if answer.finish_reason in _REASONS:
        raise UnusableAnswerError(answer.text or "the model declined")
    return question.read(answer.text)


def _complaint(answer: Answer, fault: UnusableAnswerError, left: int) -> tuple[Message, Message]:
    """The answer, cut short, and what is wrong with it; together at most REPAIR_BYTES.

    It says how many tries are left, so that the same fault twice is not the same request twice.
    """
    repair = load_prompt("repair.v1").fill(fault=_cut(str(fault), 300), left=str(left))
    return (Message("assistant", (_cut(answer.text, _REPEATED_BYTES) or "(nothing)",)), Message("user", (repair,)))


def _cut(text: str, most_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def _from_record(record: dict[str, Any]) -> Answer:
    return Answer(record["text"], record["finish_reason"], record["prompt_tokens"], record["completion_tokens"],
                  record["seconds"])


def _usage(role: Role, model: str, prompt: str, replies: Sequence[Reply]) -> Usage:
    answers = {key: answer for reply in replies for key, answer in reply.answers.items()}
    return Usage(
        role=role, model=model, prompt=prompt, questions=len(replies), answers=len(answers),
        unusable=sum(reply.reason is not None for reply in replies),
        prompt_tokens=sum(answer.prompt_tokens for answer in answers.values()),
        completion_tokens=sum(answer.completion_tokens for answer in answers.values()),
        seconds=round(sum(answer.seconds for answer in answers.values()), 3))
