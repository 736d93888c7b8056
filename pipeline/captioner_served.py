"""The captioner that asks a vision-language model: the frames of a clip go to it as pictures, and come back as words.

One request per clip. The shape of the answer is given as a JSON schema in which everything is bounded, so that no
answer runs on. What cannot be used, the model being told why, becomes a rejection with the raw text.
"""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.answer_reading import Line, UnusableAnswerError, read_answer
from pipeline.captioner import DecodedVideo
from pipeline.captioner_file import FileCaptioner
from pipeline.decode_video import read_jpegs
from pipeline.llm_client import Message, Part, Request
from pipeline.prompt_files import load_prompt
from pipeline.sentences import telling_words
from pipeline.served_models import ServedModels
from pipeline.served_questions import Question, Reply
from pipeline.subtitles import in_clip
from schemas.build_config import BuildConfig
from schemas.reasons import SENTENCES, Reason, Stage
from schemas.records import Caption, Clip, KeyEvent, Rejection, Subtitle

PROMPT, SUBTITLES = "caption.v1", "caption_subtitles.v1"
_REPEATED_FROM = 3
"""Clips with different pictures of which the same was said word for word: then none of it is believed."""

_MOST_HINTS = 3000
"""Letters of subtitles shown with a clip: four times what can be spoken in one of 14 s."""


class EventAnswer(BaseModel):
    """An event inside a clip, in whole seconds from the clip's start."""

    model_config = ConfigDict(extra="forbid")
    start_second: Annotated[int, Field(ge=0)]
    end_second: Annotated[int, Field(ge=0)]
    text: Annotated[Line, Field(min_length=1, max_length=200)]


class ClipAnswer(BaseModel):
    """What the model is to say of a clip. The fields are in the order in which they are best thought of."""

    model_config = ConfigDict(extra="forbid")
    setting: Annotated[Line, Field(max_length=200)]
    subjects: Annotated[list[Annotated[Line, Field(min_length=1, max_length=120)]], Field(max_length=8)]
    sentences: Annotated[
        list[Annotated[Line, Field(min_length=1, max_length=240)]], Field(min_length=1, max_length=8)]
    actions: Annotated[list[Annotated[Line, Field(min_length=1, max_length=120)]], Field(max_length=8)]
    key_events: Annotated[list[EventAnswer], Field(max_length=4)]
    on_screen_text: Annotated[list[Annotated[Line, Field(min_length=1, max_length=120)]], Field(max_length=8)]


class ServedCaptioner:
    """Captions by the model that `--caption-model` names."""

    name = "served"

    def __init__(self, config: BuildConfig, models: ServedModels | None, given: FileCaptioner) -> None:
        """Nothing is asked yet.

        Args:
            config: the choices.
            models: whom to ask; may be None where nothing will be.
            given: caption files, whose subtitles stand above those that came with a video.
        """
        self._model, self._max_tokens, self._temperature = (
            config.caption_model, config.caption_tokens, config.temperature)
        self._models, self._given = models, given

    def depends_on(self, decoded: DecodedVideo) -> Any:
        """Prompt, schema, model and parameters, and what the subtitles say."""
        subtitles = [[line.start_s, line.end_s, line.text, line.auto] for line in self._subtitles(decoded)]
        return [load_prompt(PROMPT).text, load_prompt(SUBTITLES).text, clip_schema(1), self._model, self._max_tokens,
                self._temperature, subtitles]

    def caption(self, decoded: DecodedVideo) -> tuple[list[Caption], list[Rejection]]:
        """A caption or a rejection for every clip.

        Raises:
            StoppedError, ServerRefusesError, ServersDownError: the video has to wait.
        """
        asked: list[Clip] = []
        subtitles = self._subtitles(decoded)
        replies = self._models.replies(self._questions(decoded, subtitles, asked))
        repeated = _repeated(replies)
        shown = {clip.clip_index for clip in asked}
        captions, rejected = [], [
            _rejection(clip, Reason.NO_CAPTION, "no frame of it to show", None)
            for clip in decoded.clips if clip.clip_index not in shown]
        for clip, reply in zip(asked, replies, strict=True):
            if reply.value is None:
                rejected.append(_rejection(clip, reply.reason, reply.detail, reply.raw))
            elif _said(reply.value) in repeated:
                rejected.append(_rejection(clip, Reason.CAPTION_REPEATED, _said(reply.value), None))
            else:
                captions.append(self._caption(subtitles, clip, reply))
        return captions, rejected

    def _questions(
        self, decoded: DecodedVideo, subtitles: list[Subtitle], asked: list[Clip]
    ) -> Iterator[Question]:
        """A question per clip that has frames; `asked` grows with them."""
        clips = {clip.clip_index: clip for clip in decoded.clips}
        for index, frames in groupby(read_jpegs(decoded.folder), key=lambda frame: frame[0]):
            if index in clips:
                clip = clips[index]
                asked.append(clip)
                pictures = [(seconds - clip.start_s, jpeg) for _, seconds, jpeg in frames]
                yield self._question(in_clip(subtitles, clip.start_s, clip.end_s), clip, pictures)

    def _question(self, subtitles: list[Subtitle], clip: Clip, pictures: list[tuple[float, bytes]]) -> Question:
        seconds = clip.end_s - clip.start_s
        parts: list[Part] = [load_prompt(PROMPT).fill(
            frame_count=str(len(pictures)), seconds=f"{seconds:.1f}", subtitles=_hints(subtitles, clip))]
        for number, (at_s, jpeg) in enumerate(pictures, start=1):
            parts += [f"Frame {number}, at {max(0.0, at_s):.1f} s:", jpeg]
        request = Request(
            model=self._model, messages=(Message("user", tuple(parts)),), schema_name="clip",
            schema=clip_schema(math.ceil(seconds)), max_tokens=self._max_tokens, temperature=self._temperature)
        return Question("captions", PROMPT, request, lambda text: _read(text, math.ceil(seconds)))

    def _subtitles(self, decoded: DecodedVideo) -> list[Subtitle]:
        video = decoded.video
        return self._given.subtitles(video, 0.0, video.duration_s) or decoded.subtitles

    def _caption(self, subtitles: list[Subtitle], clip: Clip, reply: Reply) -> Caption:
        said: ClipAnswer = reply.value
        return Caption(
            clip_index=clip.clip_index, caption=_said(said), sentences=said.sentences, captioner=self.name,
            setting=said.setting or None, subjects=said.subjects, actions=said.actions,
            on_screen_text=said.on_screen_text, key_events=[_event(clip, event) for event in said.key_events],
            subtitles=in_clip(subtitles, clip.start_s, clip.end_s), model=self._model, prompt=PROMPT,
            answer_key=reply.key)


def _hints(subtitles: list[Subtitle], clip: Clip) -> str:
    """What is said during a clip, as strangers wrote it: bounded, and without what could end the quotation."""
    lines = "\n".join(
        f"{max(0.0, line.start_s - clip.start_s):.0f} s{' (by machine)' if line.auto else ''}: {line.text}"
        for line in subtitles).replace("<", "(").replace(">", ")")
    return load_prompt(SUBTITLES).fill(lines=lines[:_MOST_HINTS]) if lines else ""


def clip_schema(seconds: int) -> dict[str, Any]:
    """The JSON schema of an answer about a clip of so many whole seconds."""
    def line(most: int) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": most}

    def lines(most: int, length: int, least: int = 0) -> dict[str, Any]:
        return {"type": "array", "minItems": least, "maxItems": most, "items": line(length)}

    second = {"type": "integer", "minimum": 0, "maximum": seconds}
    event = _object({"start_second": second, "end_second": second, "text": line(200)})
    return _object({
        "setting": {"type": "string", "maxLength": 200}, "subjects": lines(8, 120), "sentences": lines(8, 240, 1),
        "actions": lines(8, 120), "key_events": {"type": "array", "maxItems": 4, "items": event},
        "on_screen_text": lines(8, 120)})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _read(text: str, seconds: int) -> ClipAnswer:
    """The answer, in shape and with sense.

    Raises:
        UnusableAnswerError: it is not.
    """
    answer = read_answer(text, ClipAnswer)
    for number, event in enumerate(answer.key_events):
        if not event.start_second <= event.end_second <= seconds:
            raise UnusableAnswerError(
                f"key_events.{number}: from {event.start_second} to {event.end_second} s is no stretch of a clip of "
                f"{seconds} s")
    if not telling_words(" ".join(answer.sentences)):
        raise UnusableAnswerError("sentences: they say nothing")
    return answer


def _said(answer: ClipAnswer) -> str:
    return " ".join(answer.sentences)


def _event(clip: Clip, event: EventAnswer) -> KeyEvent:
    """With times of the video; an event lasts a second at least, and ends with its clip."""
    start_s = min(clip.start_s + event.start_second, clip.end_s - min(1.0, clip.end_s - clip.start_s))
    end_s = min(clip.end_s, clip.start_s + max(event.end_second, event.start_second + 1))
    return KeyEvent(start_s=start_s, end_s=max(end_s, start_s), text=event.text)


def _repeated(replies: list[Reply]) -> set[str]:
    """What was said word for word of several clips with different pictures, and so of different requests."""
    said = {reply.key: _said(reply.value) for reply in replies if reply.value is not None}
    return {text for text, times in Counter(said.values()).items() if times >= _REPEATED_FROM}


def _rejection(clip: Clip, reason: Reason, detail: str, raw: str | None) -> Rejection:
    return Rejection(
        stage=Stage.CAPTIONS, reason=reason, detail=f"{SENTENCES[reason]}: {detail}", video_id=clip.video_id,
        clip_index=clip.clip_index, raw=raw)
