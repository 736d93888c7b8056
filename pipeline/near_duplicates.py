"""Questions of a video that ask nearly the same again."""

from collections import Counter, defaultdict
from collections.abc import Sequence

_SHARED = 0.8
"""Share of what two questions are about, taken together, from which on the later one is a near-duplicate."""


class NearDuplicates:
    """Remembers what was asked of a video.

    Two questions of a kind are compared by what they are about, whatever its order and its letters; the wording
    of the question does not make it another one. Kinds look here before they draw what is right, so that they draw
    something else where there is something else.
    """

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._holders: dict[tuple[str, str], list[int]] = defaultdict(list)

    def repeats(self, kind: str, about: Sequence[str], each: bool = False) -> bool:
        """Whether a question of a kind much like this one was added before.

        Args:
            kind: the kind.
            about: what it is about, each on one line with single spaces.
            each: whether it repeats another when they share any of it.
        """
        said = _same_words(about)
        if each:
            return any((kind, words) in self._holders for words in said)
        shared = Counter(place for words in said for place in self._holders.get((kind, words), ()))
        return any(count >= _SHARED * (len(said) + self._sizes[place] - count) for place, count in shared.items())

    def add(self, kind: str, about: Sequence[str]) -> None:
        """Remember a question that was kept."""
        said = _same_words(about)
        for words in said:
            self._holders[kind, words].append(len(self._sizes))
        self._sizes.append(len(said))


def _same_words(about: Sequence[str]) -> frozenset[str]:
    return frozenset(text.casefold() for text in about)
