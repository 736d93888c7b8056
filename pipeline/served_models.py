"""Questions to model servers, each asked once: found among the stored answers, else asked, stored, read, and where it
cannot be read asked again with the fault.

Every answer is stored as it came, under the key of its own request; the way from there to a value is computed anew
each time. So a build from stored answers takes the same steps as the one that paid for them.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.answer_reading import UnusableAnswerError
from pipeline.answer_store import AnswerStore
from pipeline.llm_client import Answer, Budget, BudgetSpentError, LlmClient, Request
from pipeline.model_servers import Role, clients_of, server_pools
from pipeline.served_embeddings import ServedEmbeddings, embedding_key
from pipeline.served_questions import (
    REASONS,
    REPAIRS,
    Question,
    Reply,
    Tally,
    answer_of,
    complaint,
    read_answer_of,
    usage_of,
)
from pipeline.shared_answers import SharedAnswers
from pipeline.shared_files import SharedFiles
from pipeline.shared_run import Stop
from pipeline.stopped import StoppedError
from pipeline.work_store import key_of
from schemas.build_config import BuildConfig
from schemas.half_characters import without_half_characters
from schemas.reasons import Reason


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
        self._embeddings = ServedEmbeddings(self._clients.get("embeddings"), self._store, self._stopping)
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
        asyncio.run_coroutine_threadsafe(self._embeddings.fetch(model, texts), self._loop).result()
        if of_the_video:
            keys = {text: embedding_key(model, text) for text in texts}
            self._tallies().setdefault(("embeddings", model, "embedding"), []).extend(
                Reply(key, answers={key: self._embeddings.taken(model, text)}) for text, key in keys.items())
        return self._embeddings.vectors(model, texts)

    @contextlib.contextmanager
    def tally(self, on_reply: Callable[[], None] | None = None) -> Iterator[Tally]:
        """Collects what the questions of this thread take; it is filled when the block ends.

        `on_reply` is called, by another thread, for each of them that is through.
        """
        collected = Tally()
        self._local.tallies, self._local.keys, self._local.on_reply = {}, collected.keys, on_reply
        try:
            yield collected
            collected.usage.extend(usage_of(*whose, replies) for whose, replies in sorted(self._tallies().items()))
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
                return Reply(first_key, value=read_answer_of(answer, question), answers=answers)
            except UnusableAnswerError as fault:
                if not repairs_left or not answer.final:
                    return Reply(first_key, reason=REASONS.get(answer.finish_reason, Reason.ANSWER_UNUSABLE),
                                 detail=without_half_characters(str(fault)), raw=answer.text, answers=answers)
                request = question.request.and_then(*complaint(answer, fault, repairs_left))
        raise AssertionError("unreachable: the last round returns")

    async def _answer(self, key: str, request: Request, question: Question) -> Answer:
        """From the store, from a request on its way, or from a server."""
        client = self._clients.get(question.role)
        stored = self._store.find(key)
        if stored is not None:
            answer = answer_of(stored)
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
        await self._embeddings.close()
        for pool in set(self._pools.values()):
            await pool.close()
