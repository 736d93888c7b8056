"""MLVU (Zhou et al. 2024, arXiv 2406.04264): long videos, seven kinds of multiple choice (nine in the test set).

Asked in the words of MLVU's own script, scored by the first capital that is an option's letter. M-Avg is the mean over
the kinds, not over the questions: kinds differ in size, and a pooled figure is another number. The test set has up to
six options; a scorer that knows A to D only takes E and F for wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_reading import letter_of
from model.evaluation.letter_task import LetterTask
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import LETTERS, Question
from model.evaluation.task import BadDataError, Task
from model.evaluation.viewing import VideoStretch

SYSTEM = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, select the best option "
    "that accurately addresses the question.")
PUBLISHED_IN = "Video-XL's repository, table of results (assets/videomme.png)"
DEV_SOURCE = (
    "MLVU's dev set is the data set MLVU/MVLU on the Hugging Face hub (its folder MLVU: json/1_plotQA.json ... "
    "9_summary.json and video/1_plotQA/*.mp4 ...).")
TEST_SOURCE = (
    "MLVU's test set is the data set MLVU/MLVU_Test on the Hugging Face hub (test-ground-truth/*.json; the videos "
    "unpacked to MLVU_Test/video/*.mp4).")
UNIFORM_128 = FramePolicy(128)

_FIELDS = ("video", "question", "candidates", "answer", "question_type")
_DEV_FILES = ("1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning")


def options_prompt(question: str, options: Sequence[str]) -> str:
    """Question and options as MLVU, MVBench and Video-XL's VNBench write them."""
    lines = [f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([f"Question: {question}", "Options:", *lines])


@dataclass(frozen=True, eq=False)
class Mlvu(LetterTask):
    """The multiple choice of one split.

    Attributes:
        split: "dev" or "test".
    """

    split: str = "dev"

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        if self.split == "test":
            file = find_file(self, data, "test-ground-truth/test_mcq_gt.json")
            return self._read(file, data / self.folder / "MLVU_Test" / "video")
        found = []
        for name in _DEV_FILES:
            found += self._read(find_file(self, data, f"json/{name}.json"), data / self.folder / "video" / name)
        return found

    def _read(self, file: Path, videos: Path) -> list[Question]:
        return [self._question(file, number, row, videos) for number, row in enumerate(read_rows(file, _FIELDS))]

    def _question(self, file: Path, number: int, row: dict, videos: Path) -> Question:
        options = tuple(map(str, row["candidates"]))
        try:
            letter = letter_of(options, str(row["answer"]))
        except ValueError as error:
            raise BadDataError(f"{file}, row {number}: the answer {row['answer']!r} is none of the options") from error
        return Question(
            question_id=str(row.get("question_id", f"{row['question_type']}_{number}")),
            viewing=VideoStretch(videos / row["video"]),
            prompt=f"{options_prompt(row['question'], options)}\nOnly give the best option.",
            format="letter", options=options, answer=letter, prefill="Best option: (", system=SYSTEM,
            attributes={"kind": str(row["question_type"])})


TASKS: list[Task] = [
    Mlvu("mlvu-dev", "MLVU", DEV_SOURCE, UNIFORM_128, {"overall": 0.649}, PUBLISHED_IN, by=("kind",), mean_over="kind"),
    Mlvu("mlvu-test", "MLVU_Test", TEST_SOURCE, UNIFORM_128, {"overall": 0.455}, PUBLISHED_IN, by=("kind",),
         mean_over="kind", split="test"),
]
