"""Answers that an open question about order leaves to choose from."""

import zlib
from itertools import permutations
from random import Random
from typing import Any

MOST_CANDIDATES = 4


def candidate_answers(sample: dict[str, Any]) -> list[str]:
    """The right answer of an open sample, then wrong ones; the right one alone if the question does not list any.

    A question that lists moments, one a line after "- ", is answered by one of them, or by all of them in their order:
    then the wrong answers are other orders.

    Args:
        sample: a row of `samples`.
    """
    asked, answer = sample["conversations"][0]["value"], sample["conversations"][1]["value"]
    listed = [line.removeprefix("- ") for line in asked.split("\n") if line.startswith("- ")]
    if answer in listed:
        return [answer, *(moment for moment in listed if moment != answer)]
    ordered = [line.partition(". ")[2] for line in answer.split("\n")]
    if len(ordered) < 2 or sorted(ordered) != sorted(listed):
        return [answer]
    others = [order for order in permutations(ordered) if list(order) != ordered]
    rng = Random(zlib.crc32(sample["sample_id"].encode()))
    wrong = rng.sample(others, min(MOST_CANDIDATES - 1, len(others)))
    return [answer, *("\n".join(f"{number}. {moment}" for number, moment in enumerate(order, 1)) for order in wrong)]
