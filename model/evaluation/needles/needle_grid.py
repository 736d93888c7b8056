"""The grid: every way to look, length, depth and needle, asked in both published ways."""
# ruff: noqa: N803 (names end in the shape of the tensor)

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.letter_reading import before_bracket
from model.evaluation.methods.method import Method
from model.evaluation.methods.method_answerer import MethodAnswerer
from model.evaluation.needles.hay import Hay, needle_tokens
from model.evaluation.needles.needle import Needle, Scoring
from model.evaluation.question import Question, Reply
from model.evaluation.task import NO_ROOM, AnswerRow
from model.evaluation.viewing import VideoStretch
from model.modeling_video_xl import VideoXLForConditionalGeneration

TASK = "needles"


@dataclass(frozen=True, slots=True)
class Cell:
    """One look: a needle, at a depth of so many frames, in one way."""

    method: Method
    length: int
    depth: float
    needle: int
    """Place in the list of needles."""

    def question_id(self, needle: Needle, scoring: Scoring) -> str:
        """Unique in the grid."""
        return f"{self.method} {self.length} {self.depth:g} {needle.name} {scoring}"


def cells_of(
    methods: Sequence[Method], lengths: Sequence[int], depths: Sequence[float], needles: int
) -> list[Cell]:
    """All cells: way by way, the short ones first."""
    return [
        Cell(method, length, depth, needle)
        for method in methods for length in sorted(set(lengths)) for depth in sorted(set(depths))
        for needle in range(needles)]


def ask_grid(
    model: VideoXLForConditionalGeneration, hay: Hay, video: Path, needles: Sequence[Needle], cells: Sequence[Cell],
    files: AnswerFiles, tell: Callable[[int], None] = lambda answered: None,
) -> None:
    """Ask what has not been asked yet. A way that found no room is not tried at greater lengths.

    Args:
        model: with its processor, in evaluation mode.
        hay: frames of the video; as many as the longest cell has.
        video: where they come from, for the rows.
        needles: see `Cell.needle`.
        cells: this process's share.
        files: where answers are kept; its `writing` block is open.
        tell: called with the number of questions answered, after each cell.
    """
    tokens = [needle_tokens(model, needle) for needle in needles]
    done = files.read()
    full = _full(done.values())
    for cell in cells:
        needle, viewing = needles[cell.needle], VideoStretch(video, 0.0, float(cell.length))
        asked = {
            scoring: question for scoring, question in _questions(cell, needle, viewing).items()
            if question.question_id not in done}
        if not asked:
            continue
        replies, positions = None, 0
        if cell.length < full.get(str(cell.method), math.inf):
            try:
                replies, positions = _ask(model, hay, tokens[cell.needle], cell, asked.values())
            except torch.OutOfMemoryError:
                full[str(cell.method)] = cell.length
        if replies is None:
            torch.cuda.empty_cache()
            replies = [None] * len(asked)
        rows = [
            _row(cell, needle, scoring, question, reply, positions)
            for (scoring, question), reply in zip(asked.items(), replies, strict=True)]
        files.add(rows)
        tell(len(rows))


def _full(rows: Iterable[AnswerRow]) -> dict[str, int]:
    """The shortest length at which each way found no room."""
    full: dict[str, int] = {}
    for row in rows:
        if row.problem == NO_ROOM:
            length = int(row.attributes["length"])
            full[row.method] = min(full.get(row.method, length), length)
    return full


def _ask(
    model: VideoXLForConditionalGeneration, hay: Hay, needle_VC: Tensor, cell: Cell, questions: Iterable[Question]
) -> tuple[list[Reply], int]:
    """Replies behind one look, and the positions that it takes up."""
    seen = MethodAnswerer(model, cell.method).look_at(hay.around(needle_VC, cell.length, cell.depth))
    return [seen.reply(question) for question in questions], seen.positions


def _questions(cell: Cell, needle: Needle, viewing: VideoStretch) -> dict[Scoring, Question]:
    return {scoring: needle.asked(scoring, cell.question_id(needle, scoring), viewing) for scoring in needle.scorings}


def _row(
    cell: Cell, needle: Needle, scoring: Scoring, question: Question, reply: Reply | None, positions: int
) -> AnswerRow:
    read, score = None, 0.0
    if reply is not None and scoring == "letter":
        read = before_bracket(question, reply.text)
        score = float(read == question.answer)
    elif reply is not None:
        score = float(bool(reply.forced))
    attributes = {
        "length": str(cell.length), "depth": f"{cell.depth:g}", "needle": needle.name, "scoring": scoring}
    return AnswerRow(
        task=TASK, question_id=question.question_id, video=question.viewing.video, prompt=question.prompt,
        options=list(question.options), answer=question.answer, format=question.format, attributes=attributes,
        said=reply.text if reply else "", read=read, score=score, frames=cell.length + 1,
        positions=positions + reply.positions if reply else 0, ratio=str(cell.method.factor), method=str(cell.method),
        policy="1 a second, and the needle", problem=None if reply else NO_ROOM)
