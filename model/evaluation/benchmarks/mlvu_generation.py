"""MLVU's two kinds of free answers: captions of a scene within a long video, and summaries.

Their score, G-Avg, is given by GPT-4 with prompts of MLVU's repository (generation_evaluation/), which this does not
call: answers are stored, and written in the form that MLVU's evaluate_ssc.py and evaluate_summary.py read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.evaluation.benchmarks.mlvu import DEV_SOURCE, TEST_SOURCE, UNIFORM_128
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import Question, Reply
from model.evaluation.task import AnswerRow, Figure, Score, Task
from model.evaluation.viewing import VideoStretch

SYSTEM = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, answer the given "
    "questions.")
_FIELDS = ("video", "question", "answer")
_MOST_TOKENS = 1024


@dataclass(frozen=True, eq=False)
class MlvuGeneration(Task):
    """Both kinds of one split.

    Attributes:
        files: of each kind the file with its questions and the folder of its videos, under the task's folder.
    """

    files: tuple[tuple[str, str, str], ...] = ()

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        found = []
        for kind, name, videos in self.files:
            rows = read_rows(find_file(self, data, name), _FIELDS)
            found += [
                Question(
                    question_id=f"{kind}_{number}", viewing=VideoStretch(data / self.folder / videos / row["video"]),
                    prompt=str(row["question"]), format="open", answer=str(row["answer"]), system=SYSTEM,
                    most_tokens=_MOST_TOKENS, attributes={"kind": kind, "question": str(row["question"])})
                for number, row in enumerate(rows)]
        return found

    def score(self, question: Question, reply: Reply) -> Score:
        """Not scored here: 0, and nothing read."""
        return Score(None, 0.0)

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """None: a judge gives them."""
        return []

    def submissions(self, rows: Sequence[AnswerRow]) -> dict[str, Any]:
        """The files that MLVU's scripts read."""
        return {
            f"{kind}_all.json": [
                {"video_name": row.video, "Q": row.attributes["question"], "A": row.answer, "pred": row.said}
                for row in rows if row.attributes["kind"] == kind]
            for kind, _, _ in self.files}


TASKS: list[Task] = [
    MlvuGeneration("mlvu-dev-generation", "MLVU", DEV_SOURCE, UNIFORM_128, files=(
        ("subplot", "json/8_sub_scene.json", "video/8_sub_scene"),
        ("summary", "json/9_summary.json", "video/9_summary"))),
    MlvuGeneration("mlvu-test-generation", "MLVU_Test", TEST_SOURCE, UNIFORM_128, files=(
        ("subplot", "test-ground-truth/test_ssc_gt.json", "MLVU_Test/video"),
        ("summary", "test-ground-truth/test_vs_gt.json", "MLVU_Test/video"))),
]
