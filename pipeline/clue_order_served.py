"""The orderer that asks a language model: it reads the captions, chooses and words the clues, and puts them in order.

A video of any length is read in overlapping chapters, whose orders are joined. A clue names its clip and sentence
out of a list in the schema, so it cannot name what is not there. Of the joined order the longest part that agrees
with the clock is kept.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.agreeing_order import longest_agreeing
from pipeline.answer_reading import Line, UnusableAnswerError, read_answer
from pipeline.captioner import DecodedVideo
from pipeline.chapters import plan_chapters
from pipeline.clue_orderer import Candidate, Proposal
from pipeline.join_orders import join_orders
from pipeline.llm_client import Message, Request
from pipeline.prompt_files import load_prompt
from pipeline.served_models import ServedModels
from pipeline.served_questions import REPAIR_BYTES, Question, Reply
from pipeline.shuffled_order import SHUFFLED_PROMPT, is_chosen, shuffled_figures, shuffled_questions
from schemas.build_config import BuildConfig
from schemas.reasons import SENTENCES, Reason, Stage
from schemas.records import Caption, Clip, Rejection

PROMPT = "clue_order.v1"
_CLUE_TOKENS = 96
"""Tokens of an answer that a clue is given room for."""
_TEMPLATE_TOKENS = 128
"""Room for what the server's chat template adds."""
_LONGEST_CLUE = 200

Reference = tuple[int, int]
"""A clip and a sentence of its caption, from 0."""


class ClueAnswer(BaseModel):
    """One clue of an answer."""

    model_config = ConfigDict(extra="forbid")
    where: str
    text: Annotated[Line, Field(min_length=1, max_length=_LONGEST_CLUE)]


class ChapterAnswer(BaseModel):
    """What the model is to say of a chapter."""

    model_config = ConfigDict(extra="forbid")
    clues: list[ClueAnswer]


@dataclass(frozen=True, slots=True)
class _Given:
    """A clue as a chapter's answer gave it."""

    text: str
    answer_key: str


class ServedOrderer:
    """Clues and their order by the model that `--order-model` names."""

    name = "served"

    def __init__(self, config: BuildConfig, models: ServedModels) -> None:
        self._model = config.order_model or config.caption_model
        self._context, self._most, self._temperature = (
            config.order_context_tokens, config.chapter_clips, config.temperature)
        self._shuffled_share, self._models = config.shuffled_share, models

    def depends_on(self) -> Any:
        """Prompts, schema, model and parameters."""
        return [load_prompt(PROMPT).text, load_prompt(SHUFFLED_PROMPT).text, order_schema([(0, 0)], 1), self._model,
                self._temperature, self._context, self._most, self._shuffled_share]

    def propose(self, decoded: DecodedVideo, captions: list[Caption]) -> Proposal:
        """The clues of a video in the order given; those that contradict the clock carry the reason.

        Raises:
            StoppedError, ServerRefusesError, ServersDownError: the video has to wait.
        """
        captions = sorted(captions, key=lambda caption: caption.clip_index)
        lines = [_lines(caption) for caption in captions]
        sizes = self._sizes(lines)
        room = self._room(len(captions))
        fitting = [place for place, size in enumerate(sizes) if size <= room]
        chapters = [
            [captions[fitting[place]] for place in chapter]
            for chapter in plan_chapters([sizes[place] for place in fitting], room, self._most)]
        replies = self._models.replies(self._question(chapter) for chapter in chapters)
        answered = [(chapter, reply) for chapter, reply in zip(chapters, replies, strict=True) if reply.value]
        rejected = [
            *_too_long(decoded.video.video_id, captions, set(fitting)),
            *_unanswered(decoded.video.video_id, chapters, replies)]
        given, order = _joined(answered, decoded.video.video_id, rejected)
        clips = {clip.clip_index: clip for clip in decoded.clips}
        candidates = self._candidates(given, order, clips)
        figures = {
            "model": self._model, "prompt": PROMPT, "chapters": len(chapters), "given": len(candidates),
            "against_clock": sum(candidate.reason is not None for candidate in candidates)}
        return Proposal(candidates, rejected, figures | self._shuffled(decoded.video.video_id, captions, sizes))

    def _sizes(self, lines: Sequence[str]) -> list[int]:
        """Tokens that each caption takes in a request, with those of the clue that may come of it."""
        counts = self._models.count_tokens("order", self._model, lines)
        return [count + 1 + _CLUE_TOKENS for count in counts]

    def _room(self, clips: int) -> int:
        """Tokens of a request that are left for captions and clues."""
        fixed = load_prompt(PROMPT).fill(most_clues=str(clips), captions="")
        taken = self._models.count_tokens("order", self._model, [fixed])[0]
        return max(1, self._context - taken - _TEMPLATE_TOKENS - REPAIR_BYTES)

    def _question(self, chapter: Sequence[Caption]) -> Question:
        references = [(caption.clip_index, number) for caption in chapter for number in range(len(caption.sentences))]
        prompt = load_prompt(PROMPT).fill(
            most_clues=str(len(chapter)), captions="\n".join(_lines(caption) for caption in chapter))
        request = Request(
            model=self._model, messages=(Message("user", (prompt,)),), schema_name="clues",
            schema=order_schema(references, len(chapter)), max_tokens=_CLUE_TOKENS * len(chapter),
            temperature=self._temperature)
        known = {_name(reference): reference for reference in references}
        return Question("order", PROMPT, request, lambda text: _read(text, known))

    def _candidates(
        self, given: dict[Reference, _Given], order: Sequence[Reference], clips: dict[int, Clip]
    ) -> list[Candidate]:
        # The clock knows clips: two clues of one clip agree with it in any order.
        agreeing = set(longest_agreeing([clips[clip].start_s for clip, _ in order]))
        return [
            Candidate(
                clip_indexes=(clip,), start_s=clips[clip].start_s, end_s=clips[clip].end_s,
                text=given[clip, sentence].text, kind="clip", sentences=(sentence,), model=self._model, prompt=PROMPT,
                answer_key=given[clip, sentence].answer_key, order_given=place,
                reason=None if place in agreeing else Reason.ORDER_AGAINST_CLOCK)
            for place, (clip, sentence) in enumerate(order)]

    def _shuffled(self, video_id: str, captions: list[Caption], sizes: Sequence[int]) -> dict[str, Any]:
        if not is_chosen(video_id, self._shuffled_share):
            return {}
        room = self._room(len(captions))
        texts = [(place, caption.caption) for place, caption in enumerate(captions) if sizes[place] <= room]
        chapters = plan_chapters([sizes[place] for place, _ in texts], room, self._most)
        rng = random.Random(int(hashlib.sha256(f"shuffled {video_id}".encode()).hexdigest()[:16], 16))
        asked = shuffled_questions(
            [[texts[place][1] for place in chapter] for chapter in chapters], self._model, self._temperature, rng)
        return shuffled_figures(asked, self._models.replies(question for question, _ in asked))


def order_schema(references: Sequence[Reference], most_clues: int) -> dict[str, Any]:
    """The JSON schema of a chapter's answer: only these references exist."""
    clue = {
        "type": "object", "additionalProperties": False, "required": ["where", "text"],
        "properties": {
            "where": {"type": "string", "enum": [_name(reference) for reference in references]},
            "text": {"type": "string", "minLength": 1, "maxLength": _LONGEST_CLUE}}}
    return {
        "type": "object", "additionalProperties": False, "required": ["clues"],
        "properties": {"clues": {"type": "array", "maxItems": most_clues, "items": clue}}}


def _name(reference: Reference) -> str:
    clip, sentence = reference
    return f"{clip}.{sentence}"


def _lines(caption: Caption) -> str:
    return "\n".join(f"{caption.clip_index}.{number} {text}" for number, text in enumerate(caption.sentences))


def _read(text: str, known: dict[str, Reference]) -> list[tuple[Reference, str]]:
    answer = read_answer(text, ChapterAnswer)
    invented = [clue.where for clue in answer.clues if clue.where not in known]
    if invented:
        raise UnusableAnswerError(f"there are no sentences numbered {', '.join(invented[:5])}")
    return [(known[clue.where], clue.text) for clue in answer.clues]


def _joined(
    answered: Sequence[tuple[Sequence[Caption], Reply]], video_id: str, rejected: list[Rejection]
) -> tuple[dict[Reference, _Given], list[Reference]]:
    """The clues of all chapters by reference, and their order; what is said twice goes to `rejected`."""
    given: dict[Reference, _Given] = {}
    said: set[tuple[int, str]] = set()
    covered: set[int] = set()
    orders: list[list[Reference]] = []
    for chapter, reply in answered:
        order: list[Reference] = []
        for reference, text in reply.value:
            if reference in given and reference not in order:
                order.append(reference)  # the chapter before chose it too: it holds the two together
            elif reference[0] in covered and reference not in given:
                rejected.append(_rejection(video_id, Reason.CHAPTER_BEFORE_CHOSE, text, reference[0]))
            elif reference in given or (reference[0], text) in said:
                rejected.append(_rejection(video_id, Reason.CLUE_GIVEN_TWICE, text, reference[0]))
            else:
                given[reference] = _Given(text, reply.key)
                said.add((reference[0], text))
                order.append(reference)
        covered |= {caption.clip_index for caption in chapter}
        orders.append(order)
    return given, join_orders(orders)


def _too_long(video_id: str, captions: Sequence[Caption], fitting: set[int]) -> list[Rejection]:
    return [
        _rejection(video_id, Reason.CAPTION_TOO_LONG_TO_ORDER, "raise --order-context-tokens", caption.clip_index)
        for place, caption in enumerate(captions) if place not in fitting]


def _unanswered(video_id: str, chapters: Sequence[Sequence[Caption]], replies: Sequence[Reply]) -> list[Rejection]:
    return [
        Rejection(
            stage=Stage.CLUES, reason=reply.reason, video_id=video_id, clip_index=chapter[0].clip_index, raw=reply.raw,
            detail=f"{SENTENCES[reply.reason]}: clips {chapter[0].clip_index} to {chapter[-1].clip_index}: "
                   f"{reply.detail}")
        for chapter, reply in zip(chapters, replies, strict=True) if reply.reason]


def _rejection(video_id: str, reason: Reason, text: str, clip_index: int) -> Rejection:
    return Rejection(stage=Stage.CLUES, reason=reason, detail=text, video_id=video_id, clip_index=clip_index)
