"""The blind check by a served model: it reads a question without the video, its options shuffled, and has to guess."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline.answer_reading import UnusableAnswerError, read_answer
from pipeline.blind_check import ASKED, BY_CHANCE, BlindQuestion, Guesses, shuffled_options
from pipeline.llm_client import Message, Request
from pipeline.prompt_files import load_prompt
from pipeline.served_models import ServedModels
from pipeline.served_questions import Question
from schemas.build_config import BuildConfig

PROMPT = "blind.v1"
_ANSWER_TOKENS = 32


class BlindAnswer(BaseModel):
    """What the model is to say."""

    model_config = ConfigDict(extra="forbid")
    answer: str


class ServedBlindChecker:
    """The model that orders, asked without the video: text goes to it and nothing else."""

    name = "served"

    def __init__(self, config: BuildConfig, models: ServedModels) -> None:
        self.model = config.order_model or config.caption_model
        self._temperature, self._models = config.temperature, models

    def depends_on(self) -> Any:
        """Prompt, model, parameters, and the test with its threshold."""
        return [load_prompt(PROMPT).text, self.model, self._temperature, ASKED, BY_CHANCE]

    def guess(self, questions: Sequence[BlindQuestion]) -> list[Guesses]:
        """See `BlindChecker`; all are asked at a time. Only answers that could be used count as asked.

        Raises:
            StoppedError, ServerRefusesError, ServersDownError: the video has to wait.
        """
        put = [(one, order) for one in questions for order in shuffled_options(len(one.options), one.seed)]
        replies = iter(self._models.replies(
            self._question(one.question, [one.options[place] for place in order]) for one, order in put))
        right = [None if reply.reason else order[reply.value] == one.answer_index
                 for (one, order), reply in zip(put, replies, strict=True)]
        each = [right[at:at + ASKED] for at in range(0, len(right), ASKED)]
        return [Guesses(right=hits.count(True), asked=len(hits) - hits.count(None)) for hits in each]

    def _question(self, question: str, options: Sequence[str]) -> Question:
        letters = ascii_uppercase[:len(options)]
        lines = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True))
        request = Request(
            model=self.model,
            messages=(Message("user", (load_prompt(PROMPT).fill(question=question, options=lines),)),),
            schema_name="blind", schema=_schema(letters), max_tokens=_ANSWER_TOKENS, temperature=self._temperature)
        return Question("order", PROMPT, request, lambda text: _read(text, letters))


def _schema(letters: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": ["answer"],
            "properties": {"answer": {"type": "string", "enum": list(letters)}}}


def _read(text: str, letters: str) -> int:
    answer = read_answer(text, BlindAnswer).answer
    if answer not in tuple(letters):
        raise UnusableAnswerError(f"answer: it must be one letter of {letters}")
    return letters.index(answer)
