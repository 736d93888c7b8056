"""How guessable the order of a film is: captions shuffled and without times, put in order by the model.

Who sees times can hardly be wrong, so agreement with the clock says little. This says what the words alone give away:
Kendall's tau, whose mean by chance is 0.
"""

import hashlib
import random
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.agreeing_order import kendall_tau
from pipeline.answer_reading import UnusableAnswerError, read_answer
from pipeline.llm_client import Message, Request
from pipeline.prompt_files import load_prompt
from pipeline.served_questions import Question, Reply

SHUFFLED_PROMPT = "shuffled_order.v1"
_NUMBER_TOKENS, _FRAME_TOKENS = 6, 32

Asked = tuple[Question, list[int]]
"""A question, and the right position of each caption in the order shown."""


class ShuffledAnswer(BaseModel):
    """Numbers of captions, the earliest first."""

    model_config = ConfigDict(extra="forbid")
    order: Annotated[list[int], Field(min_length=1)]


def is_chosen(video_id: str, share: float) -> bool:
    """Whether a video is among the share that is asked; from its id alone."""
    return int(hashlib.sha256(f"shuffled {video_id}".encode()).hexdigest()[:12], 16) < share * 16 ** 12


def shuffled_questions(
    chapters: Sequence[Sequence[str]], model: str, temperature: float, rng: random.Random
) -> list[Asked]:
    """A question for every chapter of two captions or more."""
    asked = []
    for captions in chapters:
        if len(captions) >= 2:
            shown = rng.sample(range(len(captions)), len(captions))
            asked.append((_question([captions[place] for place in shown], model, temperature), shown))
    return asked


def shuffled_figures(asked: Sequence[Asked], replies: Sequence[Reply]) -> dict[str, Any]:
    """Kendall's tau of every list that was put in order."""
    lists = [
        {"count": len(shown), "tau": round(kendall_tau([shown[number - 1] for number in reply.value]), 6)}
        for (_, shown), reply in zip(asked, replies, strict=True) if reply.reason is None]
    return {"shuffled": lists, "shuffled_unanswered": sum(reply.reason is not None for reply in replies)}


def _question(captions: Sequence[str], model: str, temperature: float) -> Question:
    lines = "\n".join(f"({number}) {text}" for number, text in enumerate(captions, start=1))
    count = len(captions)
    request = Request(
        model=model, schema_name="order", schema=_schema(count), temperature=temperature,
        messages=(Message("user", (load_prompt(SHUFFLED_PROMPT).fill(count=str(count), captions=lines),)),),
        max_tokens=_NUMBER_TOKENS * count + _FRAME_TOKENS)
    return Question("order", SHUFFLED_PROMPT, request, lambda text: _read(text, count))


def _schema(count: int) -> dict[str, Any]:
    numbers = {"type": "array", "minItems": count, "maxItems": count,
               "items": {"type": "integer", "minimum": 1, "maximum": count}}
    return {"type": "object", "additionalProperties": False, "required": ["order"], "properties": {"order": numbers}}


def _read(text: str, count: int) -> list[int]:
    order = read_answer(text, ShuffledAnswer).order
    if sorted(order) != list(range(1, count + 1)):
        raise UnusableAnswerError(f"order: it must list each number from 1 to {count} once")
    return order
