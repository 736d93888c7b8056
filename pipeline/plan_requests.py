"""How many requests a build would put to the models that are served, and of how many tokens: for `pipeline.plan`.

Counts that depend on what a model will say are the most that can be: a line of an answer for every clip, and as many
questions as the choices allow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import blind_check_served, clue_order_served, picture_check, shuffled_order
from pipeline.blind_check import ASKED
from pipeline.chapters import plan_chapters
from pipeline.prompt_files import load_prompt
from pipeline.questions import most_with_options
from pipeline.served_embeddings import EMBEDDED_AT_ONCE
from schemas.build_config import BuildConfig

_BYTES_PER_TOKEN = 4.0
"""Of English, as tokenizers of today cut it; only the prompts' own words are reckoned by it."""
_SENTENCES = 4
"""Of a caption."""
_CLUE_TOKENS = 24
"""A clue of a dozen words, its place and the JSON around them."""
_QUESTION_TOKENS = 150
"""A question with its options."""
_WORD_TOKENS = 8
"""An answer of one word, or of a number for each clip, and the JSON around it."""


@dataclass(frozen=True, slots=True)
class RequestSizes:
    """What cannot be known before a model is served."""

    image_tokens: int
    """That the model makes of a frame."""
    answer_tokens: int
    """Of a caption."""
    clues_per_clip: float


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests of one kind. Prices per million tokens."""

    what_for: str
    requests: float
    prompt_tokens: float
    answer_tokens: float
    price_in: float
    price_out: float

    @property
    def tokens(self) -> float:
        return self.prompt_tokens + self.answer_tokens

    @property
    def cost(self) -> float:
        return (self.prompt_tokens * self.price_in + self.answer_tokens * self.price_out) / 1e6


def requests_of(config: BuildConfig, clips: Sequence[int], sizes: RequestSizes) -> list[Asked]:
    """What the models would be asked.

    Args:
        config: the choices of the build.
        clips: how many each video has.
        sizes: of the requests.

    Returns:
        The kinds of which there are any.
    """
    asked = []
    if config.captioner == "served":
        asked += [_captions(config, clips, sizes), _pictures(config, clips, sizes)]
    if config.orderer == "served":
        asked += [*_orders(config, clips, sizes), _blind(config, clips)]
    if config.embedding_model is not None:
        asked.append(_embeddings(config, clips, sizes))
    return [one for one in asked if one.requests]


def caption_tokens(config: BuildConfig, sizes: RequestSizes) -> float:
    """Tokens of the request for one caption, its answer included."""
    return config.caption_frames * sizes.image_tokens + _prompt_tokens("caption.v1") + sizes.answer_tokens


def _captions(config: BuildConfig, clips: Sequence[int], sizes: RequestSizes) -> Asked:
    """A request per clip, with its pictures."""
    count = sum(clips)
    answers = count * sizes.answer_tokens
    return Asked("captions", count, count * caption_tokens(config, sizes) - answers, answers,
                 config.caption_price_in, config.caption_price_out)


def _pictures(config: BuildConfig, clips: Sequence[int], sizes: RequestSizes) -> Asked:
    """Each clue is looked for in its clip and in those most like it."""
    count = sum(sizes.clues_per_clip * one * min(config.picture_questions, one) for one in clips)
    shown = min(picture_check.FRAMES, config.caption_frames) * sizes.image_tokens
    return Asked(
        "picture check", count, count * (shown + _prompt_tokens(picture_check.PROMPT) + _CLUE_TOKENS),
        count * _WORD_TOKENS, config.caption_price_in, config.caption_price_out)


def _orders(config: BuildConfig, clips: Sequence[int], sizes: RequestSizes) -> list[Asked]:
    """A request per chapter, with the captions of its clips; for some videos another one without order and times."""
    room = max(sizes.answer_tokens, config.order_context_tokens - _prompt_tokens(clue_order_served.PROMPT))
    chapters = [len(chapter) for count in clips
                for chapter in plan_chapters([sizes.answer_tokens] * count, room, config.chapter_clips)]
    shown = sum(chapters) * sizes.answer_tokens
    share = config.shuffled_share
    prices = config.order_price_in, config.order_price_out
    return [
        Asked("clue order", len(chapters), len(chapters) * _prompt_tokens(clue_order_served.PROMPT) + shown,
              math.ceil(sizes.clues_per_clip * sum(chapters)) * _CLUE_TOKENS, *prices),
        Asked("shuffled order", share * len(chapters),
              share * (len(chapters) * _prompt_tokens(shuffled_order.SHUFFLED_PROMPT) + shown),
              share * sum(chapters) * _WORD_TOKENS, *prices)]


def _blind(config: BuildConfig, clips: Sequence[int]) -> Asked:
    """Each question several times, without the video."""
    count = ASKED * sum(most_with_options(config, one) for one in clips) if config.blind_is_served else 0
    return Asked(
        "blind check", count, count * (_prompt_tokens(blind_check_served.PROMPT) + _QUESTION_TOKENS),
        count * _WORD_TOKENS, config.order_price_in, config.order_price_out)


def _embeddings(config: BuildConfig, clips: Sequence[int], sizes: RequestSizes) -> Asked:
    """Every sentence of a caption and every clue, as many to a request as it takes; a clue is a sentence in itself."""
    count = sum(-(-one * (1 + _SENTENCES) // EMBEDDED_AT_ONCE) for one in clips)
    tokens = sum(clips) * (sizes.answer_tokens + _CLUE_TOKENS)
    return Asked("embeddings", count, tokens, 0, config.embedding_price, 0.0)


def _prompt_tokens(name: str) -> int:
    return round(len(load_prompt(name).text.encode()) / _BYTES_PER_TOKEN)
