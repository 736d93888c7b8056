"""MMBench (Liu et al. 2023, arXiv 2307.06281), English dev set: multiple choice about images.

A question is asked once for each rotation of its options (rows 1,000,000 and more after the first) and counts only if
all answers are right. Letters are read by the authors' exact matching; where that finds none, they ask GPT, and this
counts the answer as wrong.
"""

import base64
import binascii
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.evaluation.figures import Item, figures_of
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_reading import one_letter_or_words
from model.evaluation.letter_task import LetterTask
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import LETTERS, Question
from model.evaluation.task import AnswerRow, BadDataError, Figure, Task
from model.evaluation.viewing import StillInFile

SOURCE = "MMBench's dev set is mmbench_dev_20230712.tsv of its authors (OpenCompass)."
_FIELDS = ("index", "question", "A", "B", "answer", "category", "image")
_ROTATION = 1_000_000
_NOTHING = ("", "nan", None)
_SHORTEST_IMAGE = 64


@dataclass(frozen=True, eq=False)
class MmBench(LetterTask):
    """The dev set."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        file = find_file(self, data, "mmbench_dev_20230712.tsv")
        rows = read_rows(file, _FIELDS)
        images = {row["index"]: row["image"] for row in rows}
        return [self._question(file, row, images) for row in rows]

    def _question(self, file: Path, row: dict, images: dict[str, str]) -> Question:
        options = []
        for letter in LETTERS[:4]:
            if row.get(letter) in _NOTHING:
                break
            options.append(row[letter])
        asked = row["question"] if row.get("hint") in _NOTHING else f"{row['hint']} {row['question']}"
        lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
        index = int(row["index"])
        return Question(
            question_id=str(index), viewing=StillInFile(f"{index % _ROTATION}", _image(file, row["image"], images)),
            prompt="\n".join([f"{asked} There are several options:", *lines,
                              "Answer with the option's letter from the given choices directly."]),
            format="letter", options=tuple(options), answer=row["answer"],
            attributes={"sample": str(index % _ROTATION), "category": row["category"],
                        "l2-category": row.get("l2-category") or ""})

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """Of questions: all rotations right."""
        rotations: dict[str, list[AnswerRow]] = defaultdict(list)
        for row in rows:
            rotations[row.attributes["sample"]].append(row)
        items = [Item(some[0].video, float(all(row.score for row in some)), some[0].attributes)
                 for some in rotations.values()]
        return figures_of(items, self.by, published=self.published)


def _image(file: Path, cell: str, images: dict[str, str]) -> bytes:
    """The image of a cell: itself in base64, or the index of the row that has it.

    Raises:
        BadDataError: it is neither.
    """
    if len(cell) <= _SHORTEST_IMAGE and cell in images:
        cell = images[cell]
    try:
        return base64.b64decode(cell, validate=True)
    except binascii.Error as error:
        raise BadDataError(f"{file}: the image {cell[:20]!r} is neither base64 nor the index of a row") from error


TASKS: list[Task] = [
    MmBench("mmbench", "MMBench", SOURCE, FramePolicy(1), read=one_letter_or_words, by=("l2-category", "category")),
]
