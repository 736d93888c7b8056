"""The recipes of `ask-video` on generated films: is the answer right, and does the model look where it is shown?

The data set is what `python -m model.evaluation.use_cases.make` wrote. Its held-out samples are scored like VICO's
(`vico_held_out.py`): letters read, open answers forced. Every recipe is also put as `ask-video` puts it: the model
answers in its own words, and the spans that its answer looked at are held against the truth (`span_overlap.py`). Beside
each stands what is had without looking: the whole video as the span, or equal parts as the chapters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from model.evaluation.benchmarks.vico_held_out import VicoHeldOut, held_out_rows
from model.evaluation.figures import Item, figures_of
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question, Reply
from model.evaluation.span_overlap import Span, best_overlap, overlap_in_order
from model.evaluation.task import AnswerRow, Figure, Score
from model.evaluation.use_cases.make import FOLDER
from model.evaluation.use_cases.use_case_questions import RECIPE_OF_KIND
from model.recipes import RECIPES

SOURCE = "python -m model.evaluation.use_cases.make DATA writes it; DATA is the folder given as --data."
_AT = (0.3, 0.5, 0.7)
_MOST_TOKENS = 64


@dataclass(frozen=True, eq=False)
class UseCases(VicoHeldOut):
    """Held-out samples, and the spans of the recipes."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`; a question about spans stands behind the one that it repeats."""
        rows = {row["sample_id"]: row for row in held_out_rows(data / self.folder, "samples")}
        found = []
        for question in super().questions(data):
            row = rows[question.question_id]
            evidence = spans_told([(one["start_s"], one["end_s"]) for one in row["evidence"]])
            found.append(replace(question, attributes={**question.attributes, "measure": "accuracy"}))
            if recipe := RECIPE_OF_KIND.get(row["kind"]):
                seconds = {"from": row["span_start_s"], "to": row["span_end_s"]}
                found.append(replace(
                    question, question_id=f"{question.question_id} where", teacher_forced=False,
                    answer_ends=False,
                    most_tokens=_MOST_TOKENS, placing=RECIPES[recipe].placing,
                    attributes={**question.attributes, "measure": "span IoU", "evidence": evidence,
                                **{name: str(value) for name, value in seconds.items()}}))
        return found

    def score(self, question: Question, reply: Reply) -> Score:
        """As VICO's, or how well the spans agree; what was read are the spans."""
        if question.placing is None:
            return super().score(question, reply)
        return Score(spans_told(reply.spans) or None, _agreement(question.attributes, reply.spans))

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """Accuracy by kind, then overlap by kind, how often it is large, and what is had without looking."""
        right = [Item(row.video, row.score, row.attributes) for row in rows if row.attributes["measure"] == "accuracy"]
        placed = [row for row in rows if row.attributes["measure"] == "span IoU"]
        figures = figures_of(right, ("kind", "format"), overall="accuracy")
        for kind in sorted({row.attributes["kind"] for row in placed}):
            some = [row for row in placed if row.attributes["kind"] == kind]
            figures += _figure(f"span IoU, {kind}", some, [row.score for row in some])
            figures += _figure(f"span IoU without looking, {kind}", some,
                               [_agreement(row.attributes, _unseen(row)) for row in some])
            for at in _AT:
                figures += _figure(f"IoU of {at} or more, {kind}", some, [float(row.score >= at) for row in some])
        return figures


def _figure(name: str, rows: Sequence[AnswerRow], values: Sequence[float]) -> list[Figure]:
    items = [Item(row.video, value, row.attributes) for row, value in zip(rows, values, strict=True)]
    return figures_of(items, overall=name)


def _agreement(attributes: Mapping[str, str], spans: Sequence[Span]) -> float:
    placing, truth = RECIPES[RECIPE_OF_KIND[attributes["kind"]]].placing, spans_read(attributes["evidence"])
    return best_overlap(spans, truth) if placing == "above" else overlap_in_order(spans, truth)


def _unseen(row: AnswerRow) -> list[Span]:
    """The whole stretch, or for chapters as many equal parts of it as there are."""
    begin, end = float(row.attributes["from"]), float(row.attributes["to"])
    parts = len(spans_read(row.attributes["evidence"]))  # where the answer is one stretch, this is the whole
    edges = [begin + (end - begin) * part / parts for part in range(parts + 1)]
    return list(pairwise(edges))


def spans_told(spans: Sequence[Span]) -> str:
    """Spans as "12-16 20-24.5", to be stored beside an answer."""
    return " ".join(f"{begin:g}-{end:g}" for begin, end in spans)


def spans_read(told: str) -> list[Span]:
    """What `spans_told` was given, to six digits."""
    return [(float(begin), float(end)) for begin, _, end in (one.partition("-") for one in told.split())]


TASKS = [UseCases("use-cases", FOLDER, SOURCE, FramePolicy(2048, fps=1), scoring=2)]
