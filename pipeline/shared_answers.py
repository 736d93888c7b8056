"""Answers of models that several machines see: `{video_id}/{stage}-{key}.answers`, all that a product rests on.

They are there before the product is, and the first file of a name stays. So whoever makes a video anew, because the
machine that had it died, asks nothing that a finished stage had asked; and a worker that was thought dead, and comes
with other answers to the same questions, drops them and makes its product from those that count. What the data set
says and what is stored always belong together.
"""

from collections.abc import Iterable

from pipeline.answer_store import AnswerStore
from pipeline.shared_files import SharedFiles


class SharedAnswers:
    """The shared answers of an output, taken into and out of the store of one process."""

    def __init__(self, files: SharedFiles, store: AnswerStore) -> None:
        """
        Args:
            files: of the output's answers.
            store: where this process finds and keeps answers.
        """
        self._files, self._store = files, store

    def bring(self, video_id: str = "") -> None:
        """Have the store find the answers about a video, or about all."""
        for name in self._files.names(video_id):
            self._take(name)

    def commit(self, name: str, keys: Iterable[str]) -> bool:
        """Have these be the answers that a product rests on.

        Args:
            name: of the product, by `answers_name`.
            keys: of the answers.

        Returns:
            False where another worker was first: the store now finds the answers of that one.
        """
        lines = self._store.lines_of(keys)
        if not lines or self._files.create(name, lines):
            return True
        self._take(name)
        return False

    def _take(self, name: str) -> None:
        lines = self._files.read(name)
        if lines is not None:
            self._store.adopt(name, lines)


def answers_name(video_id: str, stage: str, key: str) -> str:
    """Where the answers that a product rests on lie."""
    return f"{video_id}/{stage}-{key}.answers"
