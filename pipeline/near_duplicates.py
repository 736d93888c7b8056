"""Questions of a video that ask nearly the same again."""

from collections import Counter, defaultdict

from pipeline.kinds.draft import Draft

_SHARED = 0.8
"""Share of what two questions are about, taken together, from which on the later one is a near-duplicate."""


class NearDuplicates:
    """Remembers what was asked of a video.

    Two questions of a kind are compared by what they are about, whatever its order and its letters; the wording
    of the question does not make it another one.
    """

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._holders: dict[tuple[str, str], list[int]] = defaultdict(list)

    def repeats(self, draft: Draft) -> bool:
        """Whether a question much like this one was added before."""
        about = _about(draft)
        shared = Counter(place for words in about for place in self._holders.get((draft.kind, words), ()))
        if draft.about_each:
            return bool(shared)
        return any(count >= _SHARED * (len(about) + self._sizes[place] - count) for place, count in shared.items())

    def add(self, draft: Draft) -> None:
        """Remember a question that was kept."""
        about = _about(draft)
        for words in about:
            self._holders[draft.kind, words].append(len(self._sizes))
        self._sizes.append(len(about))


def _about(draft: Draft) -> frozenset[str]:
    return frozenset(" ".join(text.casefold().split()) for text in draft.about)
