"""What the answers of a data set took, and what came of the order: figures for manifest and card.

Computed from the products of the stages, so a build that was stopped and went on, or that was made again from
stored answers, shows the same figures as one that ran through.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.agreeing_order import chance_spread
from pipeline.model_servers import prices
from pipeline.record_files import read_records
from pipeline.served_questions import Usage
from schemas.build_config import BuildConfig


def served_figures(
    config: BuildConfig, caption_products: Sequence[Path], clue_products: Sequence[Path],
    question_products: Sequence[Path],
) -> dict[str, Any]:
    """The manifest's part about served models; empty for a build without any."""
    if not config.asks_models:
        return {}
    products = (*caption_products, *clue_products, *question_products)
    usages = [usage for product in products for usage in _usages(product)]
    orders = [json.loads((product / "order.json").read_text(encoding="utf-8")) for product in clue_products]
    return {"served": {
        "usage": [_sum(config, rows) for rows in _by_model(usages)],
        "cost": round(sum(_cost(config, usage) for usage in usages), 6),
        "order": _order(orders),
        "shuffled": _shuffled(orders),
    }}


def card_lines(served: dict[str, Any]) -> list[str]:
    """The same for the card of the data set."""
    lines = ["| asked for | prompt | model | questions | prompt tokens | answer tokens | model seconds | cost |",
             "|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row['role']} | {row['prompt']} | `{row['model']}` | {row['questions']:,} | {row['prompt_tokens']:,} | "
        f"{row['completion_tokens']:,} | {row['seconds']:,.0f} | {row['cost']:.4f} |" for row in served["usage"]]
    lines += [
        f"\n`{row['model']}` gave {row['given']:,} clues in an order of its own; {row['against_clock']:,} of them "
        "contradicted the clock and were dropped." for row in served["order"]]
    if served["shuffled"]:
        row = served["shuffled"]
        lines.append(
            f"\nCaptions of {row['videos']} videos were also ordered shuffled and without times: Kendall's tau "
            f"{row['kendall_tau']:.3f}, where chance gives {row['chance']:g} ± {row['chance_spread']:.3f}. The higher, "
            "the more of the order can be guessed.")
    return [*lines, ""]


def _usages(product: Path) -> list[Usage]:
    path = product / "usage.json"
    return read_records(path, Usage) if path.exists() else []


def _by_model(usages: Iterable[Usage]) -> list[list[Usage]]:
    groups: dict[tuple[str, str, str], list[Usage]] = {}
    for usage in usages:
        groups.setdefault((usage.role, usage.model, usage.prompt), []).append(usage)
    return [rows for _, rows in sorted(groups.items())]


def _sum(config: BuildConfig, rows: Sequence[Usage]) -> dict[str, Any]:
    said = {"role": rows[0].role, "model": rows[0].model, "prompt": rows[0].prompt}
    counted = ("questions", "answers", "unusable", "prompt_tokens", "completion_tokens")
    return said | {name: sum(getattr(row, name) for row in rows) for name in counted} | {
        "seconds": round(math.fsum(row.seconds for row in rows), 3),
        "cost": round(math.fsum(_cost(config, row) for row in rows), 6)}


def _cost(config: BuildConfig, usage: Usage) -> float:
    price_in, price_out = prices(config, usage.role)
    return (usage.prompt_tokens * price_in + usage.completion_tokens * price_out) / 1e6


def _order(orders: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clues given and dropped, by model."""
    given: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for order in orders:
        if order:
            given[order["model"]] += order["given"]
            dropped[order["model"]] += order["against_clock"]
    return [{"model": model, "given": given[model], "against_clock": dropped[model]} for model in sorted(given)]


def _shuffled(orders: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Kendall's tau over all shuffled lists, each weighted by its pairs."""
    asked = [order for order in orders if "shuffled" in order]
    lists = [row for order in asked for row in order["shuffled"]]
    if not lists:
        return None
    pairs = [row["count"] * (row["count"] - 1) / 2 for row in lists]
    weights = [count / sum(pairs) for count in pairs]
    return {
        "videos": len(asked), "lists": len(lists),
        "kendall_tau": round(math.fsum(w * row["tau"] for w, row in zip(weights, lists, strict=True)), 6),
        "chance": 0.0,
        "chance_spread": round(math.hypot(*(
            w * chance_spread(row["count"]) for w, row in zip(weights, lists, strict=True))), 6),
        "unanswered": sum(order["shuffled_unanswered"] for order in asked),
    }
