"""NExT-QA (Xiao et al. 2021, arXiv 2105.08276): why, how, before and after, in everyday videos; multiple choice.

An answer in which no option is found counts as a guess by a fixed seed, as lmms-eval has it.
"""

from dataclasses import dataclass
from pathlib import Path

from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_reading import guess, last_mention
from model.evaluation.letter_task import LetterTask
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import LETTERS, Question
from model.evaluation.task import Task
from model.evaluation.viewing import VideoStretch

SOURCE = (
    "NExT-QA is the data set lmms-eval/NExTQA on the Hugging Face hub (MC/ and OE/test-00000-of-00001.parquet, the "
    "videos unpacked to NExTVideo/*.mp4); the authors' MC test.csv may stand in MC/ instead.")
POLICY = FramePolicy(128, fps=1)
GROUPS = ("type",)
_OPTIONS = tuple(f"a{number}" for number in range(5))
_FIELDS = ("video", "question", "answer", "qid", "type", *_OPTIONS)


def mention_or_guess(question: Question, text: str) -> str:
    """The option mentioned last, else a guess."""
    return last_mention(question, text) or guess(question)


@dataclass(frozen=True, eq=False)
class NextQa(LetterTask):
    """The test set of the multiple choice."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        rows = read_rows(find_file(self, data, "MC/test-00000-of-00001.parquet", "MC/test.csv"), _FIELDS)
        return [self._question(data, row) for row in rows]

    def _question(self, data: Path, row: dict) -> Question:
        options = tuple(str(row[name]).strip() for name in _OPTIONS)
        lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
        return Question(
            question_id=f"{row['video']}_{row['qid']}",
            viewing=VideoStretch(data / self.folder / "NExTVideo" / f"{row['video']}.mp4"),
            prompt="\n".join([str(row["question"]).strip(), *lines,
                              "Answer with the option's letter from the given choices directly."]),
            format="letter", options=options, answer=LETTERS[int(row["answer"])],
            attributes={"type": str(row["type"]), "family": str(row["type"])[0]})


TASKS: list[Task] = [
    NextQa("nextqa-mc", "NExTQA", SOURCE, POLICY, read=mention_or_guess, by=("family", "type")),
]
