"""Asking a task: questions about one viewing share one look at it, while the next is being decoded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.answerer import Answerer, Seen
from model.evaluation.decode_ahead import DecodeAhead
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question, Reply
from model.evaluation.task import NO_ROOM, AnswerRow, Task
from model.evaluation.viewing import Viewing
from model.ratio_choice import RatioDoesNotFitError
from pipeline.decode import UnreadableVideoError


@dataclass(frozen=True, slots=True)
class Look:
    """Questions behind one compression."""

    viewing: Viewing
    system: str | None
    questions: tuple[Question, ...]


def group_looks(questions: Sequence[Question]) -> list[Look]:
    """Questions with the same viewing and the same words in front of it together, in the order of their first."""
    groups: dict[tuple[Viewing, str | None], list[Question]] = {}
    for question in questions:
        groups.setdefault((question.viewing, question.system), []).append(question)
    return [Look(viewing, system, tuple(some)) for (viewing, system), some in groups.items()]


def evaluate(
    task: Task, looks: Sequence[Look], answerer: Answerer, policy: FramePolicy, files: AnswerFiles,
    tell: Callable[[int], None] = lambda answered: None,
) -> None:
    """Ask what has not been answered yet; every look's answers are stored before the next. What cannot be looked at
    (unreadable, too long for the device, too short for the ratio) is stored with its problem, and not tried again.

    Args:
        task: that the questions are of.
        looks: this process's share.
        answerer: what is asked.
        policy: which frames are shown.
        files: where answers are kept; its `writing` block is open.
        tell: called with the number of questions answered, after each look.
    """
    done = files.read()
    left = [Look(look.viewing, look.system, some) for look in looks
            if (some := tuple(question for question in look.questions if question.question_id not in done))]
    with DecodeAhead([look.viewing for look in left], policy, answerer.prepare) as ahead:
        for number, look in enumerate(left):
            rows = _ask(task, look, ahead.frames(number), answerer, policy)
            if rows[0].problem is not None:
                torch.cuda.empty_cache()  # a look that found no room leaves the device in pieces
            files.add(rows)
            tell(len(rows))


def _ask(
    task: Task, look: Look, frames: Iterator[tuple[float | None, Tensor]], answerer: Answerer, policy: FramePolicy
) -> list[AnswerRow]:
    """The answers behind one look, or for each of its questions why it could not be had."""
    try:
        seen = answerer.look(frames, look.system)
        return [_row(task, question, answerer, policy, seen) for question in look.questions]
    except UnreadableVideoError as error:
        problem = error.detail
    except RatioDoesNotFitError as error:
        problem = str(error)
    except torch.OutOfMemoryError as error:
        problem = f"{NO_ROOM}: {error}"
    return [_row(task, question, answerer, policy, None, problem) for question in look.questions]


def _row(
    task: Task, question: Question, answerer: Answerer, policy: FramePolicy, seen: Seen | None,
    problem: str | None = None,
) -> AnswerRow:
    """One answer; without anything seen, the problem in place of one."""
    times_s = [] if seen is None else seen.times_s
    reply = Reply("") if seen is None else seen.reply(question)
    score = None if seen is None else task.score(question, reply)
    return AnswerRow(
        task=task.name, question_id=question.question_id, video=question.viewing.video,
        prompt=question.words(times_s), options=list(question.options), answer=question.answer,
        format=question.format, attributes=dict(question.attributes), said=reply.text,
        read=score and score.read, score=score.value if score else 0.0, frames=len(times_s),
        positions=seen.positions + reply.positions if seen else 0, ratio=answerer.ratio, method=answerer.method,
        policy=str(policy), problem=problem)
