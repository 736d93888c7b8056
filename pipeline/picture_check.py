"""Asks the picture: a vision-language model is shown clips and says whether a clue is seen in them, yes or no.

Each clue is asked about its own clip and about the clips most like it. One that is not seen where it should be, or
is seen elsewhere, is dropped: this is the check that a clue stands in one place. A question is a few small frames
and an answer of one word, so it costs a small part of a caption.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.answer_reading import one_line, read_answer
from pipeline.captioner import DecodedVideo
from pipeline.decode_video import read_jpegs
from pipeline.jpeg import encode_jpeg
from pipeline.likest_clips import LikestClips
from pipeline.llm_client import Message, Request
from pipeline.prompt_files import load_prompt
from pipeline.served_models import ServedModels
from pipeline.served_questions import Question, Reply
from schemas.build_config import BuildConfig
from schemas.reasons import Reason
from schemas.records import Caption, Clue

PROMPT = "clue_seen.v1"
VERSION = "1"
"""Part of the key of the clue stage: raise it when the same video would be asked something else."""

FRAMES = 6
"""Frames a question shows."""
_SIDE, _QUALITY = 224, 80
"""Their shorter side in pixels, their JPEG quality."""
_ANSWER_TOKENS = 32
_SCHEMA = {"type": "object", "additionalProperties": False, "required": ["seen"],
           "properties": {"seen": {"type": "string", "enum": ["yes", "no"]}}}

SmallFrame = tuple[float, bytes]
"""Seconds and JPEG."""


class SeenAnswer(BaseModel):
    """What the model is to say."""

    model_config = ConfigDict(extra="forbid")
    seen: Literal["yes", "no"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Where a clue is looked for: first in its own clips, then in each of the others."""

    clue: Clue
    others: list[int]


class PictureCheck:
    """Asks the model that captions."""

    def __init__(self, config: BuildConfig, models: ServedModels) -> None:
        self._model, self._temperature = config.caption_model, config.temperature
        self._clips_asked, self._models = config.picture_questions, models

    def depends_on(self) -> Any:
        """Prompt, schema, model and parameters."""
        return [VERSION, load_prompt(PROMPT).text, _SCHEMA, self._model, self._temperature, self._clips_asked,
                FRAMES, _SIDE, _QUALITY]

    def check(self, decoded: DecodedVideo, captions: Sequence[Caption], clues: Sequence[Clue]) -> list[Clue]:
        """The same clues, those still kept with what was seen, or dropped with the reason.

        Memory holds the small frames of the clips that are looked at: some 12 MB an hour of film.

        Raises:
            StoppedError, ServerRefusesError, ServersDownError: the video has to wait.
        """
        likest = LikestClips(decoded.folder, captions)
        asked = [_Asked(clue, likest.others(clue, self._clips_asked - 1)) for clue in clues if clue.kept]
        wanted = {clip for one in asked for clip in (*one.clue.clip_indexes, *one.others)}
        frames = dict(_small_frames(decoded, wanted))
        replies = iter(self._models.replies(self._questions(asked, frames)))
        judged = {one.clue.clue_id: _judge(one.clue, [next(replies) for _ in range(1 + len(one.others))])
                  for one in asked}
        return [judged.get(clue.clue_id, clue) for clue in clues]

    def _questions(self, asked: Iterable[_Asked], frames: dict[int, list[SmallFrame]]) -> Iterator[Question]:
        for one in asked:
            own = [frame for clip in one.clue.clip_indexes for frame in frames.get(clip, [])]
            yield self._question(one.clue, _nearest(own, one.clue.start_s, one.clue.end_s))
            for clip in one.others:
                yield self._question(one.clue, _spread(frames.get(clip, [])))

    def _question(self, clue: Clue, frames: Sequence[SmallFrame]) -> Question:
        # In quotation marks, so that a clue's words stay what is asked about and never become part of the request.
        words = load_prompt(PROMPT).fill(frame_count=str(len(frames)), moment=_quoted(clue.text))
        request = Request(
            model=self._model, messages=(Message("user", (*(jpeg for _, jpeg in frames), words)),),
            schema_name="seen", schema=_SCHEMA, max_tokens=_ANSWER_TOKENS, temperature=self._temperature)
        return Question("captions", PROMPT, request, lambda text: read_answer(text, SeenAnswer).seen == "yes")


def _judge(clue: Clue, replies: Sequence[Reply]) -> Clue:
    """The clue with what was seen; one question without an answer leaves it unproven, so it goes."""
    answered = [reply for reply in replies if reply.reason is None]
    clue = replace(clue, seen={"yes": sum(reply.value for reply in answered), "asked": len(answered)})
    unanswered = next((reply.reason for reply in replies if reply.reason is not None), None)
    if replies[0].reason is None and not replies[0].value:
        return replace(clue, kept=False, reason=Reason.CLUE_NOT_SEEN)
    if any(reply.value for reply in replies[1:]):
        return replace(clue, kept=False, reason=Reason.CLUE_SEEN_ELSEWHERE)
    return replace(clue, kept=unanswered is None, reason=unanswered)


def _small_frames(decoded: DecodedVideo, wanted: set[int]) -> Iterator[tuple[int, list[SmallFrame]]]:
    """The caption frames of some clips, made small: one clip after the other."""
    for clip, frames in groupby(read_jpegs(decoded.folder), key=lambda frame: frame[0]):
        if clip in wanted:
            yield clip, [(seconds, _shrunk(jpeg)) for _, seconds, jpeg in frames]


def _shrunk(jpeg: bytes) -> bytes:
    picture = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return encode_jpeg(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), _QUALITY)


def _nearest(frames: Sequence[SmallFrame], start_s: float, end_s: float) -> list[SmallFrame]:
    """The frames inside a stretch and nearest to it, in order of time."""
    middle_s = (start_s + end_s) / 2
    inside = [frame for frame in frames if start_s <= frame[0] < end_s]
    if len(inside) >= FRAMES:
        return _spread(inside)
    return sorted(sorted(frames, key=lambda frame: abs(frame[0] - middle_s))[:FRAMES])


def _spread(frames: Sequence[SmallFrame]) -> list[SmallFrame]:
    """At most so many frames, evenly spread."""
    if len(frames) <= FRAMES:
        return list(frames)
    return [frames[place] for place in np.linspace(0, len(frames) - 1, FRAMES).round().astype(int).tolist()]


def _quoted(text: str) -> str:
    return '"' + one_line(text).replace('"', "'") + '"'
