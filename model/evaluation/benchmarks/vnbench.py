"""VNBench (Zhao et al. 2024, arXiv 2406.09367): needles put into videos, to be found, ordered or counted.

Every sample is asked four times with its options in another order and counts only if all four answers are right, so
that guessing gives 0.4 %. Overall is the mean over the nine types. Asked in the words of Video-XL's own script, at one
frame a second without a limit; what Video-XL's script takes out of an answer, VNBench's reads a letter from.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.evaluation.benchmarks.mlvu import SYSTEM, options_prompt
from model.evaluation.figures import Item, figures_of
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_reading import first_in_alphabet
from model.evaluation.letter_task import LetterTask
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import Question
from model.evaluation.task import AnswerRow, BadDataError, Figure, Task
from model.evaluation.viewing import VideoStretch

SOURCE = (
    "VNBench is VNBench-main-4try.json (data set videoniah/VNBench on the Hugging Face hub) with its videos where the "
    "file's `video` says, from the file's folder.")
TRIES = 4
_FIELDS = ("video", "question", "options", "gt", "gt_option", "type", "try")
_NO_LIMIT = 1 << 20


@dataclass(frozen=True, eq=False)
class VnBench(LetterTask):
    """Any file of VNBench's form."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`.

        Raises:
            BadDataError: also if a sample does not have the tries 0 to 3, each once.
        """
        file = find_file(self, data, "VNBench-main-4try.json")
        found = [self._question(file.parent, row) for row in read_rows(file, _FIELDS)]
        tries: dict[str, list[str]] = defaultdict(list)
        for question in found:
            tries[question.attributes["sample"]].append(question.attributes["try"])
        wrong = next((sample for sample, some in tries.items() if sorted(some) != list("0123")), None)
        if wrong is not None:
            raise BadDataError(f"{file}: {wrong} has the tries {sorted(tries[wrong])}, expected 0 to 3, each once")
        return found

    def _question(self, folder: Path, row: dict) -> Question:
        name, kind = str(row["video"]), str(row["type"])
        options = tuple(map(str, row["options"]))
        return Question(
            question_id=f"{Path(name).stem}_{kind}_{row['try']}", viewing=VideoStretch(folder / name),
            prompt=options_prompt(row["question"], options) + "\n", format="letter", options=options,
            answer=str(row["gt_option"]), system=SYSTEM,
            attributes={"sample": f"{name} {kind}", "type": kind, "ability": kind[:3], "try": str(row["try"])})

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """Of samples: all four tries right. One of which not all were asked is wrong."""
        right: dict[tuple[str, str], list[AnswerRow]] = defaultdict(list)
        for row in rows:
            right[row.video, row.attributes["sample"]].append(row)
        items = [Item(video, float(sum(row.score for row in tries) == TRIES), tries[0].attributes)
                 for (video, _), tries in right.items()]
        single = [Item(row.video, row.score, row.attributes) for row in rows]
        return [*figures_of(items, ("ability", "type"), "type", self.published),
                figures_of(single, overall="single tries")[0]]


TASKS: list[Task] = [
    VnBench(
        "vnbench", "VNBench", SOURCE, FramePolicy(_NO_LIMIT, fps=1),
        {"overall": 0.616, "ability: ret": 0.800, "ability: ord": 0.806, "ability: cnt": 0.240},
        "Video-XL's repository, table of results (assets/vnbench.png)", read=first_in_alphabet,
        scoring=2),
]
