"""WUPS, how alike two short answers are by WordNet (Malinowski and Fritz 2014; as NExT-QA's authors compute it).

WUPS is the smaller of two products: over the words of one answer the similarity (Wu and Palmer 1994) of each to the
word of the other that is most like it, and the same the other way round. Similarities under a threshold count a tenth.
Lemmas come from WordNet's own morphology, a word taken for a noun, else a verb, else an adjective; the authors tag
words first, so figures may differ from theirs in the last digits.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from model.evaluation.task import MissingDataError

_LEMMA_KINDS = "nva"
_TENTH = 0.1


class Wups:
    """Compares answers.

    Args:
        nltk_data: folder that nltk's package `wordnet` was unpacked to, as corpora/wordnet/data.noun ...
        stopwords: a file with one word a line; they are left out.

    Raises:
        MissingDataError: nltk or one of the files is not there.
    """

    def __init__(self, nltk_data: Path, stopwords: Path) -> None:
        try:
            import nltk
            from nltk.corpus.reader.wordnet import WordNetCorpusReader
        except ModuleNotFoundError as error:
            raise MissingDataError("WUPS needs nltk: in the checkout, pip install -e '.[wups]'") from error
        nltk.data.path.append(str(nltk_data))  # nltk reads nothing outside the folders it is told of
        self._net: Any = WordNetCorpusReader(str(nltk_data / "corpora" / "wordnet"), None)
        self._stopwords = frozenset(stopwords.read_text(encoding="utf-8").split())
        self._likeness = lru_cache(1 << 16)(self._uncached_likeness)

    def words(self, answer: str) -> list[str]:
        """The lemmas of an answer without stop words."""
        found = []
        for word in re.findall(r"[a-z0-9]+", answer.lower()):
            lemma = next((form for kind in _LEMMA_KINDS if (form := self._net.morphy(word, kind))), word)
            if lemma not in self._stopwords:
                found.append(lemma)
        return found

    def wups(self, said: str, truth: str, threshold: float) -> float:
        """0 to 1; nothing said, or nothing that WordNet knows, is 0.

        Args:
            said, truth: the answers.
            threshold: similarities below it count a tenth; published are 0 and 0.9.
        """
        one, other = self.words(said), self.words(truth)
        return min(self._product(one, other, threshold), self._product(other, one, threshold))

    def _product(self, words: Sequence[str], others: Sequence[str], threshold: float) -> float:
        """Words that are like none of the others are left out, as the authors have it."""
        product, any_alike = 1.0, False
        for word in words:
            best = max((self._weighed(word, other, threshold) for other in others), default=0.0)
            if best > 0:
                product, any_alike = product * best, True
        return product if any_alike else 0.0

    def _weighed(self, one: str, other: str, threshold: float) -> float:
        likeness = self._likeness(one, other)
        return likeness if likeness >= threshold else _TENTH * likeness

    def _uncached_likeness(self, one: str, other: str) -> float:
        """Of the first senses of two words."""
        if one == other:
            return 1.0
        senses = self._net.synsets(one), self._net.synsets(other)
        if not all(senses):
            return 0.0
        return senses[0][0].wup_similarity(senses[1][0]) or 0.0
