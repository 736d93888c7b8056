"""What an orderer is: it chooses and words the clues of one video, and says in which order they happen."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.captioner import DecodedVideo
from schemas.reasons import Reason
from schemas.records import Caption, Rejection


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


class ClueOrderer(Protocol):
    """Proposes the clues of a video; the clue stage judges each of them."""

    name: str
    """The value of `--orderer`."""

    def depends_on(self) -> Any:
        """What its proposals depend on besides video and captions, as values JSON can hold."""

    def propose(self, decoded: DecodedVideo, captions: list[Caption]) -> Proposal:
        """The clues of one video."""
