"""LongVideoBench (Wu et al. 2024, arXiv 2407.15754), validation set, without subtitles (lmms-eval's val_v).

An answer in which no letter is found counts as a guess, as the authors have it; the guess is drawn by a fixed seed from
the question's id, so that it is the same in every run.
"""

from dataclasses import dataclass
from pathlib import Path

from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_reading import first_capital, guess
from model.evaluation.letter_task import LetterTask
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import LETTERS, Question
from model.evaluation.task import Task
from model.evaluation.viewing import VideoStretch

SOURCE = (
    "LongVideoBench is the data set longvideobench/LongVideoBench on the Hugging Face hub (lvb_val.json, the videos "
    "unpacked to videos/*.mp4).")
_FIELDS = ("id", "video_path", "question", "candidates", "correct_choice", "duration_group", "question_category")


def letter_or_guess(question: Question, text: str) -> str:
    """The first capital that is an option's letter, else a guess."""
    return first_capital(question, text) or guess(question)


@dataclass(frozen=True, eq=False)
class LongVideoBench(LetterTask):
    """All questions of the validation set."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        rows = read_rows(find_file(self, data, "lvb_val.json"), _FIELDS)
        return [self._question(data, row) for row in rows]

    def _question(self, data: Path, row: dict) -> Question:
        # The hub's flattened form fills up to five options with "N/A".
        options = tuple(option for option in row["candidates"] if option != "N/A")
        lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
        return Question(
            question_id=str(row["id"]), viewing=VideoStretch(data / self.folder / "videos" / row["video_path"]),
            prompt="\n".join(
                [row["question"], *lines, "Answer with the option's letter from the given choices directly."]) + "\n",
            format="letter", options=options, answer=LETTERS[int(row["correct_choice"])], most_tokens=32,
            attributes={"duration_group": str(row["duration_group"]),
                        "question_category": str(row["question_category"])})


TASKS: list[Task] = [
    LongVideoBench(
        "longvideobench", "LongVideoBench", SOURCE, FramePolicy(128), {"overall": 0.495},
        "Video-XL's repository, table of results (assets/vnbench.png); a note on a later version of the paper says "
        "0.507", read=letter_or_guess, by=("duration_group", "question_category")),
]
