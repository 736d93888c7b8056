"""Sentences and their words."""

import re

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+(?=\S)|(?<=[。！？])")
_WORD = re.compile(r"\w+")
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""Chinese signs and Japanese syllables."""
_COMMON = frozenset(
    (
        "a an and are as at be been but by can does for from had has have he her his i in into is it its of off on or "
        "out over she so some such than that the their them there these they this those to up was were which while "
        "who with you your"
    ).split()
)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, without empty ones."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]


def telling_words(text: str) -> frozenset[str]:
    """The words of a text that say something, lower case; of writing without spaces, every two neighbouring signs."""
    words = frozenset(_WORD.findall(text.casefold())) - _COMMON
    if text.isascii():
        return words
    pairs = {run[at:at + 2] for run in _WITHOUT_SPACES.findall(text) for at in range(max(1, len(run) - 1))}
    return frozenset(word for word in words if not _WITHOUT_SPACES.search(word)) | pairs
