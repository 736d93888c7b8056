"""Asks OpenAI-compatible servers; nobody else does, and nobody else retries a request.

- Several servers share the work by their load; a dead one is left out and tried again later.
- How many requests are in flight adapts to each server: it grows while latency holds and halves on trouble.
- 408, 429, 5xx, timeouts, dropped connections and half answers are retried with backoff and jitter; Retry-After
  is honoured for the whole server.
- A budget is reserved before a request is sent, so that it is not overrun by what is in flight.
- The key is sent and never said: it is removed from every text that comes back.

    request -> client (budget, retries) -> server_pool (whose turn) -> server (one URL) -> answer

This is a leaf: it imports nothing else of `pipeline`.
"""

from pipeline.llm_client.answer import Answer, Embedded
from pipeline.llm_client.budget import Budget
from pipeline.llm_client.client import LlmClient
from pipeline.llm_client.errors import BudgetSpentError, GivenUpError, ServerRefusesError, ServersDownError
from pipeline.llm_client.request import Message, Part, Request
from pipeline.llm_client.server_pool import ServerPool

__all__ = [
    "Answer", "Budget", "BudgetSpentError", "Embedded", "GivenUpError", "LlmClient", "Message", "Part", "Request",
    "ServerPool", "ServerRefusesError", "ServersDownError",
]
