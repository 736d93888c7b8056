"""NExT-QA's open answers (test set), scored by WUPS at threshold 0; yes-no and counting questions by equality.

A second reference answer, where there is one, counts as much as the first. lmms-eval's file has it in a column, the
authors have it in a file of its own: {video: {number of the question: answer}}, for some of the videos.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from model.evaluation.benchmarks.nextqa import POLICY, SOURCE
from model.evaluation.benchmarks.wups import Wups
from model.evaluation.figures import Item, figures_of
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import Question, Reply
from model.evaluation.task import AnswerRow, BadDataError, Figure, Score, Task
from model.evaluation.viewing import VideoStretch

SECOND_ANSWERS = "add_reference_answer_test.json"
OPEN_SOURCE = (
    f"{SOURCE} In OE/, test.csv and {SECOND_ANSWERS} may stand instead, both from dataset/nextqa/ of the authors' "
    "repository doc-doc/NExT-OE. Scoring needs nltk's package `wordnet` in nltk_data/corpora/wordnet/ (data.noun ...) "
    "and stopwords.csv from lmms_eval/tasks/nextqa/ of lmms-eval's repository.")
_FIELDS = ("video", "question", "answer", "qid", "type")
_SECOND = "additional_ref_answer"
_BY_EQUALITY = ("DB", "DC")
_MOST_TOKENS = 32


@dataclass(frozen=True, eq=False)
class NextQaOpen(Task):
    """The test set; what scoring reads lies beside the folder of the videos."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        file = find_file(self, data, "OE/test-00000-of-00001.parquet", "OE/test.csv")
        if file.suffix == ".parquet":
            rows = read_rows(file, (*_FIELDS, _SECOND))
        else:
            second = _second_answers(find_file(self, data, f"OE/{SECOND_ANSWERS}"))
            rows = [row | {_SECOND: second.get(row["video"], {}).get(row["qid"])} for row in read_rows(file, _FIELDS)]
        for name in ("nltk_data/corpora/wordnet/data.noun", "stopwords.csv"):
            find_file(self, data, name)
        return [self._question(data / self.folder, row) for row in rows]

    def _question(self, folder: Path, row: dict) -> Question:
        # "TP" and "TN" are one kind, as in the authors' script.
        kind = str(row["type"]).replace("TP", "TN")
        second = row[_SECOND]
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


def _second_answers(file: Path) -> dict[str, dict[str, str]]:
    """Answers by video and number of the question.

    Raises:
        BadDataError: the file holds something else.
    """
    try:
        answers = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadDataError(f"{file} is damaged: {error}") from error
    if not isinstance(answers, Mapping) or not all(isinstance(of_video, Mapping) for of_video in answers.values()):
        raise BadDataError(f"{file} must hold an object of videos, each an object of question numbers and answers")
    return answers


@cache
def _wups(folder: Path) -> Wups:
    """WordNet takes seconds to read, and every answer needs it."""
    return Wups(folder / "nltk_data", folder / "stopwords.csv")


TASKS: list[Task] = [NextQaOpen("nextqa-oe", "NExTQA", OPEN_SOURCE, POLICY, scoring=2)]
