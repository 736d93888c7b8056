"""Recomputes each answer from the times in the clips table, with code of its own.

The kinds in `pipeline.question_kinds` work on clues in order; this works on the finished question, its
options and the spans of its evidence, and knows nothing of how the question was made.
"""

import re
from itertools import pairwise

from schemas.records import Sample

Times = dict[str, tuple[float, float]]
"""Start and end, seconds, of each thing a question mentions, by the words it is mentioned with."""


def agrees_with_clock(sample: Sample, times: Times) -> bool:
    """Whether the answer of a sample, and no other option, follows from the times.

    Raises:
        KeyError: the kind is unknown, or the question mentions something that has no time.
    """
    head, *lines = sample.question.split("\n")
    return _CHECKS[sample.kind](sample, head, lines, times)


def _order_events(sample: Sample, head: str, lines: list[str], times: Times) -> bool:
    starts = {number: times[text] for number, text in enumerate((_unnumbered(line) for line in lines), start=1)}
    right = [option for option in sample.options if _rises([starts[int(n)] for n in re.findall(r"\d+", option)])]
    return right == [sample.answer] and sample.options[sample.answer_index] == sample.answer


def _came_next(sample: Sample, head: str, lines: list[str], times: Times) -> bool:
    anchor_end = times["\n".join(lines)][1]
    after = {option: times[option][0] for option in sample.options if times[option][0] >= anchor_end}
    return bool(after) and min(after, key=after.get) == sample.answer == sample.options[sample.answer_index]


def _came_before(sample: Sample, head: str, lines: list[str], times: Times) -> bool:
    anchor_start = times["\n".join(lines)][0]
    before = {option: times[option][1] for option in sample.options if times[option][1] <= anchor_start}
    return bool(before) and max(before, key=before.get) == sample.answer == sample.options[sample.answer_index]


def _when(sample: Sample, head: str, lines: list[str], times: Times) -> bool:
    start_s, end_s = times["\n".join(lines)]
    quarter = (sample.span_end_s - sample.span_start_s) / 4
    low = sample.span_start_s + sample.answer_index * quarter
    return low <= start_s < end_s <= low + quarter and sample.options[sample.answer_index] == sample.answer


def _storyline(sample: Sample, head: str, lines: list[str], times: Times) -> bool:
    told = [re.sub(r"^\d+\. ", "", line) for line in sample.answer.split("\n")]
    asked = [line.removeprefix("- ") for line in lines]
    return sorted(told) == sorted(asked) and _rises([times[text] for text in told])


def _describe(sample: Sample, head: str, lines: list[str], times: Times) -> bool:
    inside = all(
        sample.span_start_s <= item.start_s < item.end_s <= sample.span_end_s for item in sample.evidence)
    return inside and _rises([(item.start_s, item.end_s) for item in sample.evidence])


_CHECKS = {
    "order_events": _order_events, "came_next": _came_next, "came_before": _came_before, "when": _when,
    "storyline": _storyline, "describe": _describe,
}


def _unnumbered(line: str) -> str:
    return re.sub(r"^\(\d+\) ", "", line)


def _rises(times: list[tuple[float, float]]) -> bool:
    """Whether each ends before the next begins."""
    return all(earlier[1] <= later[0] for earlier, later in pairwise(times))
