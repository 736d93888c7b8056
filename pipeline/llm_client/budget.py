"""What a build may spend, reserved before it is spent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pipeline.llm_client.errors import BudgetSpentError


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
