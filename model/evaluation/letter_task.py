"""Multiple choice: an answer is right when the letter read from it is the right one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.evaluation.figures import Item, figures_of
from model.evaluation.letter_reading import first_capital
from model.evaluation.question import Question, Reply
from model.evaluation.task import AnswerRow, Figure, Score, Task


@dataclass(frozen=True, eq=False)
class LetterTask(Task):
    """A multiple choice benchmark.

    Attributes:
        read: the rule that finds the letter; see `letter_reading`.
        by: attributes that have figures of their own.
        mean_over: the attribute whose groups weigh the same in the overall figure; None: all questions do.
    """

    read: Callable[[Question, str], str | None] = first_capital
    by: tuple[str, ...] = ()
    mean_over: str | None = None

    def score(self, question: Question, reply: Reply) -> Score:
        """1 for the right letter."""
        letter = self.read(question, reply.text)
        return Score(letter, float(letter == question.answer))

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """Accuracy, and that of each group."""
        items = [Item(row.video, row.score, row.attributes) for row in rows]
        return figures_of(items, self.by, self.mean_over, self.published)
