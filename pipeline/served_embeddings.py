"""Embeddings of texts: found among the stored answers, else asked for some dozens at a time, and stored one by one."""

import asyncio
import base64
import itertools
from collections.abc import Sequence

import numpy as np

from pipeline.answer_store import AnswerStore
from pipeline.llm_client import Answer, BudgetSpentError, GivenUpError, LlmClient, ServerRefusesError
from pipeline.shared_run import Stop
from pipeline.stopped import StoppedError
from pipeline.work_store import key_of

EMBEDDED_AT_ONCE = 64
"""Most texts of one request."""


def embedding_key(model: str, text: str) -> str:
    """The key that the embedding of a text is stored under."""
    return key_of("embedding", model, text)


class ServedEmbeddings:
    """Asks an embedding model; its coroutines run on the one event loop of `ServedModels`."""

    def __init__(self, client: LlmClient | None, store: AnswerStore, stopping: Stop) -> None:
        """
        Args:
            client: asks the servers; None where there are none, and the stored embeddings must do.
            store: where embeddings are found and kept.
            stopping: once it is set no further request is sent.
        """
        self._client, self._store, self._stopping = client, store, stopping
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def fetch(self, model: str, texts: Sequence[str]) -> None:
        """Have the store hold the embeddings of texts; those on their way are waited for.

        Raises:
            StoppedError: the budget is spent, the server fails at some of them, or there is none to ask.
            ServerRefusesError, ServersDownError: see `llm_client`.
        """
        keys = {embedding_key(model, text): text for text in texts}
        missing = [key for key in keys if key not in self._asking and self._store.find(key) is None]
        if missing and self._client is None:
            raise StoppedError("no stored embeddings of some texts, and no server to ask (--embedding-urls)")
        if missing and self._stopping.is_set():
            raise StoppedError("it was told to stop")
        for at in range(0, len(missing), EMBEDDED_AT_ONCE):
            batch = missing[at:at + EMBEDDED_AT_ONCE]
            task = asyncio.ensure_future(self._ask_and_keep(model, {key: keys[key] for key in batch}))
            self._asking |= dict.fromkeys(batch, task)
            task.add_done_callback(lambda _, batch=batch: [self._asking.pop(key) for key in batch])
        tasks = {self._asking[key] for key in keys if key in self._asking}
        outcomes = await asyncio.gather(*map(asyncio.shield, tasks), return_exceptions=True)
        faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if faults and isinstance(faults[0], BudgetSpentError | GivenUpError):
            raise StoppedError(str(faults[0])) from None
        if faults:
            raise faults[0]

    def vectors(self, model: str, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts that the store holds: float32 [texts, width].

        Raises:
            ServerRefusesError: another model answers by the same name now.
        """
        found = [base64.b64decode(self._store.find(embedding_key(model, text))["vector"]) for text in texts]
        if len(set(map(len, found))) > 1:
            raise ServerRefusesError(f"the model {model} has made embeddings of several lengths; where another model "
                                     "took its name, give it a name of its own")
        rows = np.stack([np.frombuffer(vector, "<f2") for vector in found]).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def taken(self, model: str, text: str) -> Answer:
        """What the stored embedding of a text took, as an answer without words."""
        record = self._store.find(embedding_key(model, text))
        return Answer("", "stop", record["prompt_tokens"], 0, record["seconds"])

    async def close(self) -> None:
        """Give up what is on its way."""
        tasks = set(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_and_keep(self, model: str, texts: dict[str, str]) -> None:
        embedded = await self._client.embed(model, list(texts.values()))
        unit = embedded.vectors / np.linalg.norm(embedded.vectors, axis=1, keepdims=True)
        tokens = _shared_out(embedded.prompt_tokens, [len(text.encode()) for text in texts.values()])
        await asyncio.gather(*(
            self._store.keep(key, {
                "role": "embeddings", "model": model, "vector": base64.b64encode(row.astype("<f2").tobytes()).decode(),
                "prompt_tokens": count, "completion_tokens": 0, "seconds": round(embedded.seconds / len(texts), 4)})
            for key, row, count in zip(texts, unit, tokens, strict=True)))


def _shared_out(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers of the given sum, about as the weights are to each other."""
    ends = [round(total * done / sum(weights)) for done in itertools.accumulate(weights)]
    return [end - start for start, end in itertools.pairwise([0, *ends])]
