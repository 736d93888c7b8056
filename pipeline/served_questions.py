"""A question to a served model, what comes of it, how an answer is read, and how the model is told what is wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.answer_reading import UnusableAnswerError
from pipeline.llm_client import Answer, Message, Request
from pipeline.model_servers import Role
from pipeline.prompt_files import load_prompt
from schemas.half_characters import without_half_characters
from schemas.reasons import Reason

REPAIRS = 2
"""How often a model is told what is wrong with its answer."""
REPAIR_BYTES = 1500
"""Most bytes, and so most tokens, that telling it adds to a request."""
_REPEATED_BYTES = 900


@dataclass(frozen=True, slots=True)
class Question:
    """A request with the way to read its answer; `read` raises UnusableAnswerError."""

    role: Role
    prompt: str
    request: Request
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question: a value, or the reason why there is none, with the raw text."""

    key: str
    value: Any = None
    reason: Reason | None = None
    detail: str = ""
    raw: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    """Every answer that it rests on, by key; more than one where the model had to be told a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the questions of one role and one model took, as the servers counted it."""

    role: Role
    model: str
    prompt: str
    questions: int
    answers: int
    unusable: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(slots=True)
class Tally:
    """What the questions of one stage of a video took, and the keys of all stored answers that it rests on."""

    usage: list[Usage] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


REASONS = {
    "refusal": Reason.MODEL_REFUSED, "content_filter": Reason.MODEL_REFUSED, "refused": Reason.SERVER_REFUSED,
    "failed": Reason.SERVER_FAILED,
}
"""Why there is no value, by how the answer ended."""


def read_answer_of(answer: Answer, question: Question) -> Any:
    """The value that an answer stands for.

    Raises:
        UnusableAnswerError: it was cut off, or declined, or cannot be read.
    """
    if answer.finish_reason == "length":
        raise UnusableAnswerError(f"it was cut off after {answer.completion_tokens} tokens")
    if answer.finish_reason in REASONS:
        raise UnusableAnswerError(answer.text or "the model declined")
    return question.read(answer.text)


def complaint(answer: Answer, fault: UnusableAnswerError, left: int) -> tuple[Message, Message]:
    """The answer, cut short, and what is wrong with it; together at most REPAIR_BYTES.

    It says how many tries are left, so that the same fault twice is not the same request twice.
    """
    repair = load_prompt("repair.v1").fill(fault=_cut(str(fault), 300), left=str(left))
    return (Message("assistant", (_cut(answer.text, _REPEATED_BYTES) or "(nothing)",)), Message("user", (repair,)))


def _cut(text: str, most_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def answer_of(record: dict[str, Any]) -> Answer:
    """An answer as it was stored; one that is no text, as older versions stored it, as a request that failed."""
    text, ended = record["text"], record["finish_reason"]
    if not isinstance(text, str) or not isinstance(ended, str):
        text, ended = "the stored answer is no text", "failed"
    return Answer(without_half_characters(text), without_half_characters(ended), record["prompt_tokens"],
                  record["completion_tokens"], record["seconds"])


def usage_of(role: Role, model: str, prompt: str, replies: Sequence[Reply]) -> Usage:
    """What some questions of one role, model and prompt took."""
    answers = {key: answer for reply in replies for key, answer in reply.answers.items()}
    return Usage(
        role=role, model=model, prompt=prompt, questions=len(replies), answers=len(answers),
        unusable=sum(reply.reason is not None for reply in replies),
        prompt_tokens=sum(answer.prompt_tokens for answer in answers.values()),
        completion_tokens=sum(answer.completion_tokens for answer in answers.values()),
        seconds=round(sum(answer.seconds for answer in answers.values()), 3))
