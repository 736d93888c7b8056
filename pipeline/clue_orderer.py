"""What an orderer hands to the clue stage: clues it chose and worded, and what it left out."""

from dataclasses import dataclass, field
from typing import Any

from schemas.reasons import Reason
from schemas.records import Rejection


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clue before it is judged."""

    clip_indexes: tuple[int, ...]
    start_s: float
    end_s: float
    text: str
    kind: str
    sentences: tuple[int, ...]
    model: str | None = None
    prompt: str | None = None
    answer_key: str | None = None
    order_given: int | None = None
    reason: Reason | None = None
    """Why it is dropped already."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The clues of an orderer, what it left out, and figures about its order, as values JSON can hold."""

    candidates: list[Candidate]
    rejected: list[Rejection]
    figures: dict[str, Any] = field(default_factory=dict)
