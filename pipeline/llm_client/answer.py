"""What a server says, read from its HTTP body."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.llm_client.errors import TroubleError
from schemas.half_characters import without_half_characters

LONGEST_WORDS = 500
"""So much of a server's words goes into a message of ours."""
_MOST_TOKENS = 1 << 40
_UNREADABLE = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a body raises that is no JSON, of another shape, too deep, or with an endless number."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    `finish_reason` is the server's (stop, length, content_filter), or ours: refusal (the model declines), refused
    (the server takes no such request; `text` says why), failed (every try failed while others went well).
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @property
    def final(self) -> bool:
        """Whether a model said this; else the same request may be answered another time."""
        return self.finish_reason not in ("refused", "failed")


def read_completion(text: str, seconds: float) -> Answer:
    """The answer in a body of `chat/completions`; no tokens where the server does not say how many.

    Raises:
        TroubleError: it is not whole.
    """
    try:
        said = json.loads(text)
        choice = said["choices"][0]
        usage = said.get("usage") or {}
        message = choice["message"]
        refusal, content = _words(message.get("refusal")), _words(message.get("content"))
        ended = _words(choice.get("finish_reason"))
        return Answer(
            refusal or content, "refusal" if refusal else ended or "stop",
            _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), round(seconds, 3))
    except _UNREADABLE:
        raise TroubleError("half_answer", f"not a whole answer: {text[:LONGEST_WORDS]}") from None


def _words(value: Any) -> str:
    """A text of an answer, or nothing.

    Raises:
        TypeError: it is something else, as a list of parts.
    """
    if not isinstance(value, str | None):
        raise TypeError(f"{type(value).__name__} in place of a text")
    return without_half_characters(value or "")


def _count(value: Any) -> int:
    """A number of tokens; 0 where the server says none.

    Raises:
        TypeError, ValueError, OverflowError: it is no such number.
    """
    count = int(value or 0)
    if not 0 <= count <= _MOST_TOKENS:
        raise ValueError(f"{value} tokens")
    return count


@dataclass(frozen=True, slots=True)
class Embedded:
    """What came back of `embeddings`: a vector for each text, in the order of the texts."""

    vectors: np.ndarray
    """float32 [texts, width], as the server gave them."""
    prompt_tokens: int
    seconds: float


def read_embeddings(text: str, texts: int, seconds: float) -> Embedded:
    """The vectors in a body of `embeddings`; no tokens where the server does not say how many.

    Raises:
        TroubleError: there is not one for each text, all of one width, of finite numbers that are not all zero.
    """
    try:
        said = json.loads(text)
        rows = {int(row["index"]): row["embedding"] for row in said["data"]}
        vectors = np.array([rows[index] for index in range(texts)], dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1)
        tokens = _count((said.get("usage") or {}).get("prompt_tokens"))
        is_whole = vectors.ndim == 2 and len(rows) == texts and np.isfinite(lengths).all() and lengths.all()
    except _UNREADABLE:
        is_whole = False
    if not is_whole:
        raise TroubleError("half_answer", f"not an embedding for each text: {text[:LONGEST_WORDS]}")
    return Embedded(vectors, tokens, round(seconds, 3))


def read_count(text: str, _: float) -> int:
    """The number in a body of vLLM's `tokenize`.

    Raises:
        TroubleError: there is none.
    """
    try:
        return _count(json.loads(text)["count"])
    except _UNREADABLE:
        raise TroubleError("half_answer", f"not a count of tokens: {text[:LONGEST_WORDS]}") from None
