"""Asks one kind of model: keeps to the budget, retries, and tells an answer from a refusal."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from pipeline.llm_client.answer import Answer, Embedded, read_completion, read_count, read_embeddings
from pipeline.llm_client.budget import Budget
from pipeline.llm_client.errors import GivenUpError, ServerRefusesError, TroubleError
from pipeline.llm_client.request import Request, as_json
from pipeline.llm_client.server import RefusedError
from pipeline.llm_client.server_pool import ServerPool

_TRIES = 8
"""Sendings of one request that others survive before it is given up."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_WRONG_SETUP = {
    401: "The key is wrong or missing: set VICO_CAPTION_API_KEY, VICO_ORDER_API_KEY or VICO_EMBEDDING_API_KEY in the "
         "environment.",
    403: "The key may not use this model.",
    404: "The model or the path does not exist there: see --caption-model, --order-model and --embedding-model, "
         "and that the URL ends as the server expects, usually in /v1.",
}
"""Answers that no other request would change, and how to mend what they mean."""
_NO_EMBEDDINGS = "See that the model of --embedding-model makes embeddings, and of texts of some hundred words."
_REFUSALS_AT_FIRST = 8
"""So many refused requests before any was answered mean that the setup is wrong, not the requests."""

Said = TypeVar("Said")


class LlmClient:
    """Asks one model on a pool of servers. All of it runs in one event loop."""

    def __init__(
        self, servers: ServerPool, *, budget: Budget | None = None, price_in: float = 0.0, price_out: float = 0.0
    ) -> None:
        """Nothing is sent yet.

        Args:
            servers: whom to ask; may be shared with other clients.
            budget: shared with other clients; None for no limit.
            price_in: price of a million prompt tokens.
            price_out: price of a million answer tokens.
        """
        self._servers, self._budget = servers, budget or Budget()
        self._price_in, self._price_out = price_in, price_out
        self._largest_prompt = 0
        self._first = asyncio.Lock()
        self._dice = random.Random()  # jitter only: no answer depends on it
        self.counts: Counter[str] = Counter()
        """sent, answered, refused, and the troubles by kind: sent is the sum of the others once all are back."""

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
        async def count(text: str) -> int:
            body = as_json({"model": model, "prompt": text, "add_special_tokens": False})
            return await self._with_retries("tokenize", lambda: body, "tokenize", read_count)

        try:
            first = [await count(text) for text in texts[:1]]
            return first + await asyncio.gather(*(count(text) for text in texts[1:]))
        except (RefusedError, GivenUpError):
            return None

    async def embed(self, model: str, texts: Sequence[str]) -> Embedded:
        """A vector for each of some texts, in one request.

        Raises:
            BudgetSpentError: there is no budget for it.
            GivenUpError: every try failed while other requests went well.
            ServerRefusesError: the server takes no such request.
            ServersDownError: no server answers.
        """
        body = as_json({"model": model, "input": list(texts), "encoding_format": "float"})
        most_tokens = sum(len(text.encode()) for text in texts)  # no tokenizer makes more of a text than its bytes
        async with self._budget.hold(most_tokens, self.cost(most_tokens, 0)):
            try:
                embedded = await self._with_retries(
                    "embeddings", lambda: body, "embeddings",
                    lambda text, seconds: read_embeddings(text, len(texts), seconds))
            except RefusedError as error:
                raise ServerRefusesError(f"{error}\n{_WRONG_SETUP.get(error.status, _NO_EMBEDDINGS)}") from None
            self._check_counts(embedded.prompt_tokens)
            self._budget.spend(embedded.prompt_tokens, self.cost(embedded.prompt_tokens, 0))
        return embedded

    async def _ask_within_budget(self, request: Request) -> Answer:
        prompt, answer = self._largest_prompt, request.max_tokens
        async with self._budget.hold(prompt + answer, self.cost(prompt, answer)):
            return await self._ask(request)

    async def _ask(self, request: Request) -> Answer:
        try:
            answer = await self._with_retries("chat/completions", request.body, request.schema_name, self._read)
        except GivenUpError as error:
            return Answer(str(error), "failed", 0, 0, 0.0)
        except RefusedError as error:
            refused = error
        else:
            self.expect_prompt(answer.prompt_tokens)
            self._budget.spend(answer.prompt_tokens + answer.completion_tokens,
                               self.cost(answer.prompt_tokens, answer.completion_tokens))
            return answer
        self._check_setup(refused)
        return Answer(str(refused), "refused", 0, 0, 0.0)

    async def _with_retries(
        self, path: str, make_body: Callable[[], bytes], kind: str, read: Callable[[str, float], Said]
    ) -> Said:
        """What `read` makes of the answer.

        The body is made when there is a place for it: those who wait would fill the memory with theirs.

        Raises:
            GivenUpError: every try failed while others went well.
            RefusedError: the server takes no such request.
            ServersDownError: no server answers.
        """
        answered_before, tries = self._servers.answered, 0
        with self._servers.wanted():
            while True:
                try:
                    return await self._send(path, make_body, kind, read)
                except TroubleError as error:
                    trouble = error
                tries += 1
                if tries >= _TRIES and self._servers.answered > answered_before:
                    raise GivenUpError(str(trouble))
                self._servers.check_alive(str(trouble))
                longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries, 16))
                await asyncio.sleep(max(trouble.retry_after_s or 0.0, self._dice.uniform(0.25, 1.0) * longest))

    async def _send(
        self, path: str, make_body: Callable[[], bytes], kind: str, read: Callable[[str, float], Said]
    ) -> Said:
        async with self._servers.seat() as server:
            sent_at = time.monotonic()
            self.counts["sent"] += 1
            try:
                text = await server.post(path, make_body)
                now = time.monotonic()
                said = read(text, now - sent_at)
            except RefusedError:
                self.counts["refused"] += 1
                server.refused()
                raise
            except TroubleError as trouble:
                self.counts[trouble.what] += 1
                server.went_wrong(trouble, sent_at, time.monotonic())
                raise
            self.counts["answered"] += 1
            self._servers.has_answered()
            server.went_well(kind, sent_at, now)
            return said

    def _read(self, text: str, seconds: float) -> Answer:
        answer = read_completion(text, seconds)
        self._check_counts(answer.prompt_tokens)
        return answer

    def _check_counts(self, prompt_tokens: int) -> None:
        """See that a budget can be kept."""
        if self._budget.limited and not prompt_tokens:
            raise ServerRefusesError("the server does not say how many tokens an answer took, so --max-tokens and "
                                     "--max-cost cannot be kept; leave them out or use another server")

    def _check_setup(self, error: RefusedError) -> None:
        """See whether it is the one request that is refused, or all of them are."""
        if error.status in _WRONG_SETUP:
            raise ServerRefusesError(f"{error}\n{_WRONG_SETUP[error.status]}")
        refused = self.counts["refused"]
        if not self.counts["answered"] and refused >= _REFUSALS_AT_FIRST:
            raise ServerRefusesError(
                f"the first {refused} requests were refused; the last time {error}\n"
                "See that the server allows as many images and tokens as are asked for.")
