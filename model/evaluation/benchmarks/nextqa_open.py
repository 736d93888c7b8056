"""NExT-QA's open answers (test set), scored by WUPS at threshold 0; yes-no and counting questions by equality.

A second reference answer, where there is one, counts as much as the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from model.evaluation.benchmarks.nextqa import POLICY, SOURCE
from model.evaluation.benchmarks.wups import Wups
from model.evaluation.figures import Item, figures_of
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import Question, Reply
from model.evaluation.task import AnswerRow, Figure, Score, Task
from model.evaluation.viewing import VideoStretch

OPEN_SOURCE = (
    f"{SOURCE} Scoring needs nltk's package `wordnet` in nltk_data/corpora/wordnet/ (data.noun ...) and stopwords.csv "
    "of the authors' repository NExT-OE.")
_FIELDS = ("video", "question", "answer", "qid", "type")
_BY_EQUALITY = ("DB", "DC")
_MOST_TOKENS = 32


@dataclass(frozen=True, eq=False)
class NextQaOpen(Task):
    """The test set; what scoring reads lies beside the folder of the videos."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        rows = read_rows(find_file(self, data, "OE/test-00000-of-00001.parquet", "OE/test.csv"), _FIELDS)
        for name in ("nltk_data/corpora/wordnet/data.noun", "stopwords.csv"):
            find_file(self, data, name)
        return [self._question(data / self.folder, row) for row in rows]

    def _question(self, folder: Path, row: dict) -> Question:
        # "TP" and "TN" are one kind, as in the authors' script.
        kind = str(row["type"]).replace("TP", "TN")
        second = row.get("additional_ref_answer")
        return Question(
            question_id=f"{row['video']}_{row['qid']}",
            viewing=VideoStretch(folder / "NExTVideo" / f"{row['video']}.mp4"),
            prompt=f"{str(row['question']).strip()}\nAnswer a question using a short phrase or sentence.",
            format="open", answer=str(row["answer"]), more_answers=(str(second),) if second else (),
            most_tokens=_MOST_TOKENS, attributes={"type": kind, "family": kind[0]})

    def score(self, question: Question, reply: Reply) -> Score:
        """The better of the references."""
        wups = _wups(question.viewing.path.parents[1])
        references = (question.answer, *question.more_answers)
        if question.attributes["type"] in _BY_EQUALITY:
            said = wups.words(reply.text)
            return Score(" ".join(said), float(any(said == wups.words(truth) for truth in references)))
        return Score(" ".join(wups.words(reply.text)), max(wups.wups(reply.text, truth, 0.0) for truth in references))

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """Mean WUPS, and that of each kind."""
        return figures_of([Item(row.video, row.score, row.attributes) for row in rows], ("family", "type"))


@cache
def _wups(folder: Path) -> Wups:
    """WordNet takes seconds to read, and every answer needs it."""
    return Wups(folder / "nltk_data", folder / "stopwords.csv")


TASKS: list[Task] = [NextQaOpen("nextqa-oe", "NExTQA", OPEN_SOURCE, POLICY)]
