"""Whom each role asks, with which key, and at what price."""

import os
from typing import Literal

from pipeline.llm_client import Budget, LlmClient, ServerPool
from schemas.build_config import BuildConfig

Role = Literal["captions", "order", "embeddings"]

_KEYS = {"captions": "VICO_CAPTION_API_KEY", "order": "VICO_ORDER_API_KEY", "embeddings": "VICO_EMBEDDING_API_KEY"}


def server_pools(config: BuildConfig) -> dict[Role, ServerPool]:
    """The servers of each role; the order's are those of the captions where it has none of its own.

    The key comes from the environment, and from nowhere else; that of the captions goes to their servers only.
    """
    def pool(role: Role, urls: list[str]) -> ServerPool:
        return ServerPool(
            urls, key=os.environ.get(_KEYS[role]), most_in_flight=config.requests_in_flight,
            timeout_s=config.request_seconds, give_up_s=config.give_up_seconds)

    pools: dict[Role, ServerPool] = {}
    if config.captioner == "served" and config.caption_urls:
        pools["captions"] = pool("captions", config.caption_urls)
    if config.orderer == "served" and config.order_urls:
        pools["order"] = pool("order", config.order_urls)
    elif config.orderer == "served" and config.caption_urls:
        pools["order"] = pools.get("captions") or pool("captions", config.caption_urls)
    if config.embedding_urls:
        pools["embeddings"] = pool("embeddings", config.embedding_urls)
    return pools


def clients_of(config: BuildConfig, pools: dict[Role, ServerPool], budget: Budget) -> dict[Role, LlmClient]:
    """A client for each role; they share the budget."""
    return {role: LlmClient(pool, budget=budget, price_in=price_in, price_out=price_out)
            for role, pool in pools.items() for price_in, price_out in [prices(config, role)]}


def prices(config: BuildConfig, role: Role) -> tuple[float, float]:
    """Of a million prompt tokens and a million answer tokens."""
    return {"captions": (config.caption_price_in, config.caption_price_out),
            "order": (config.order_price_in, config.order_price_out),
            "embeddings": (config.embedding_price, 0.0)}[role]
