"""What a server says, read from its HTTP body."""

import json
from dataclasses import dataclass

import numpy as np

from pipeline.llm_client.errors import TroubleError

LONGEST_WORDS = 500
"""So much of a server's words goes into a message of ours."""


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
        refusal = message.get("refusal")
        return Answer(
            refusal or message.get("content") or "",
            "refusal" if refusal else choice.get("finish_reason") or "stop",
            int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), round(seconds, 3))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise TroubleError("half_answer", f"not a whole answer: {text[:LONGEST_WORDS]}") from None


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
        tokens = int((said.get("usage") or {}).get("prompt_tokens") or 0)
        is_whole = vectors.ndim == 2 and len(rows) == texts and np.isfinite(lengths).all() and lengths.all()
    except (ValueError, KeyError, TypeError, AttributeError):
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
        return int(json.loads(text)["count"])
    except (ValueError, KeyError, TypeError):
        raise TroubleError("half_answer", f"not a count of tokens: {text[:LONGEST_WORDS]}") from None
