"""How much of what one text says is said by others: the word test that a clue stands in one place."""

import math
from collections import defaultdict
from collections.abc import Sequence

from pipeline.sentences import telling_words


class WordLikeness:
    """Compares texts with a fixed list of documents.

    Likeness of a text to a document is the share of the text's telling words that the document holds,
    each word weighted by log(1 + documents / documents that hold it): what every document says tells
    nothing apart.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        self._words = [telling_words(document) for document in documents]
        self._holders: dict[str, list[int]] = defaultdict(list)
        for index, words in enumerate(self._words):
            for word in sorted(words):
                self._holders[word].append(index)

    def highest(self, text: str, but: frozenset[int]) -> float:
        """The likeness to the likest document, those in `but` left out; 0 to 1.

        Args:
            text: what is to be found in one place only.
            but: indexes of documents that are this text itself, or its own clip.
        """
        if not telling_words(text):
            return 1.0
        return max((share for index, share in self.shares(text).items() if index not in but), default=0.0)

    def shares(self, text: str) -> dict[int, float]:
        """The likeness to every document that shares a word with the text, by index; 0 to 1."""
        weights = {word: self._weight(word) for word in sorted(telling_words(text))}
        total = sum(weights.values())
        shared: dict[int, float] = defaultdict(float)
        for word, weight in weights.items():
            for index in self._holders.get(word, []):
                shared[index] += weight
        return {index: min(1.0, weight / total) for index, weight in shared.items()}

    def _weight(self, word: str) -> float:
        return math.log(1 + len(self._words) / max(1, len(self._holders.get(word, []))))
