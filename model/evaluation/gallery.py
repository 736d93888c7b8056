"""A page of questions, answers and the frames that they rest on.

    python -m model.evaluation.gallery RUN/use-cases [RUN/vico-test ...] --data DIR --out page.html [--most 60]

RUN/{task} is what evaluate-video-xl wrote about a data set of ours; DIR is the folder that was its --data. The page is
one file that opens from disk. Exit codes: 0 done, 2 wrong call, 3 there is no answer to show.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model.answer_card import Card, Still, Stretch
from model.answer_page import write_page
from model.evaluation.benchmarks.use_cases import spans_read
from model.evaluation.benchmarks.vico_held_out import VicoHeldOut, frames_of_set, held_out_rows
from model.evaluation.span_overlap import Span
from model.evaluation.task import BadDataError, MissingDataError, Task
from model.evaluation.tasks import all_tasks
from model.training.frame_table import FrameReader, FrameTable

DONE, WRONG_CALL, NOTHING_MADE = 0, 2, 3
_MOST_STILLS, _STILL_SIDE = 8, 336
_WHERE = " where"
_GOOD_IOU = 0.5
FORCED = "Likeliest word at each place of the right answer"
"""What is stored of an open question that was not put a second time: behind true words, other ones are likely than
behind the model's own.
"""


@dataclass(frozen=True)
class AnsweredSet:
    """Answers about a data set of ours, and the data set.

    Attributes:
        task: its name.
        rows: of answers.parquet, by question.
        samples: rows of `samples`, by id.
        table: where the frames lie.
    """

    task: str
    rows: Mapping[str, dict[str, Any]]
    samples: Mapping[str, dict[str, Any]]
    table: FrameTable


def read_answered_set(folder: Path, data: Path) -> AnsweredSet:
    """Read RUN/{task} and the data set that it is about.

    Raises:
        MissingDataError, BadDataError: there are no answers, or no such data set, or its answers are about another one.
    """
    file = folder / "answers.parquet"
    if not file.is_file():
        raise MissingDataError(f"{file} is not there: evaluate-video-xl writes it when all questions are answered")
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise BadDataError(f"{file} is damaged or no Parquet: {error}") from error
    rows = {row["question_id"]: {**row, "attributes": dict(row["attributes"])} for row in table.to_pylist()}
    name = next(iter(rows.values()))["task"] if rows else folder.name
    task = all_tasks().get(name)
    if not isinstance(task, VicoHeldOut):
        shown = ", ".join(name for name, one in all_tasks().items() if isinstance(one, VicoHeldOut))
        raise BadDataError(f"{folder} holds answers to {name!r}; a gallery shows those to {shown}")
    return _with_samples(task, rows, data / task.folder)


def _with_samples(task: Task, rows: Mapping[str, dict[str, Any]], root: Path) -> AnsweredSet:
    frames = frames_of_set(task, root)
    samples = {row["sample_id"]: row for row in held_out_rows(root, "samples")}
    strange = [name for name in rows if name.removesuffix(_WHERE) not in samples]
    if strange:
        raise BadDataError(f"{root} knows nothing of {len(strange)} of the questions ({strange[0]}): these answers are "
                           "about another data set")
    return AnsweredSet(task.name, rows, samples, frames)


def cards_of(answered: AnsweredSet, most: int, seed: int = 0) -> Iterator[Card]:
    """Cards of some questions, drawn by chance kind by kind in turn, so that every kind is seen.

    Args:
        answered: what to show.
        most: so many cards at most.
        seed: of the draw.
    """
    kinds: dict[str, list[str]] = {}
    for name in sorted({question.removesuffix(_WHERE) for question in answered.rows}):
        kinds.setdefault(answered.samples[name]["kind"], []).append(name)
    rng = Random(seed)
    for names in kinds.values():
        rng.shuffle(names)
    turns = [names[turn] for turn in range(max(map(len, kinds.values()), default=0))
             for _, names in sorted(kinds.items()) if turn < len(names)]
    reader = FrameReader(answered.table, groups_kept=1)
    for name in sorted(turns[:most], key=lambda name: (answered.samples[name]["kind"], name)):
        yield _card(answered, reader, name)


def _card(answered: AnsweredSet, reader: FrameReader, name: str) -> Card:
    """The answer to a question and, where it was asked too, what its answer in words looked at."""
    sample, asked, placed = (some.get(key) for some, key in (
        (answered.samples, name), (answered.rows, name), (answered.rows, name + _WHERE)))
    found = [] if placed is None else spans_read(placed["read"] or "")
    truth = [(one["start_s"], one["end_s"]) for one in sample["evidence"]]
    verdicts = [] if asked is None else [("right" if asked["score"] == 1 else "wrong", asked["score"] == 1)]
    verdicts += [] if placed is None else [(f"span IoU {100 * placed['score']:.0f} %", placed["score"] >= _GOOD_IOU)]
    lines = [] if placed is None else [line.strip() for line in placed["said"].splitlines() if line.strip()]
    labels = lines if len(lines) == len(found) > 1 else [""] * len(found)
    given = asked if placed is None else placed  # put a second time, its words are the model's own
    said_as = FORCED if placed is None and given["format"] == "open" else "Answered"
    begin = sample["span_start_s"] if sample["span_start_s"] is not None else 0.0
    end = sample["span_end_s"] if sample["span_end_s"] is not None else max((one[1] for one in truth), default=begin)
    stills = _stills(answered.table, reader, sample["video_id"], truth, found)
    return Card(
        sample["video_id"], f"{answered.task}: {sample['kind']}", sample["question"], tuple(sample["options"]),
        given["said"], sample["answer"], tuple(verdicts), begin, end, (),
        tuple(Stretch(*span, label) for span, label in zip(found, labels, strict=True)),
        tuple(Stretch(*span) for span in truth), tuple(stills), said_as)


def _stills(
    table: FrameTable, reader: FrameReader, video_id: str, truth: Sequence[Span], found: Sequence[Span]
) -> Iterator[Still]:
    """The frame in the middle of each stretch, by time."""
    [video] = table.find(pa.array([f"0:{video_id}"]))
    frames = table.frames_of(int(video), None, None, ())
    middles = [(begin + end) / 2 for begin, end in (*truth[:_MOST_STILLS], *found[:_MOST_STILLS])]
    nearest = sorted({int(np.abs(table.t_s[frames] - middle).argmin()) for middle in middles})

    def inside(second: float, spans: Sequence[Span]) -> bool:
        return any(begin <= second < end for begin, end in spans)

    for frame in frames[nearest]:
        second = float(table.t_s[frame])
        [data] = reader.read(np.array([frame]))
        yield Still(second, _small(data), inside(second, truth), inside(second, found))


def _small(data: bytes) -> bytes:
    """A stored picture as a JPEG that is no larger than a page needs."""
    with Image.open(BytesIO(data)) as picture:
        picture, file = picture.convert("RGB"), BytesIO()
    picture.thumbnail((_STILL_SIDE, _STILL_SIDE))
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.gallery", description=__doc__.split("\n\n")[0])
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help="RUN/{task} of evaluate-video-xl")
    parser.add_argument("--data", type=Path, required=True, help="the folder that was its --data")
    parser.add_argument("--out", type=Path, required=True, help="an .html file")
    parser.add_argument("--most", type=int, default=60, help="questions of each task that are shown (default: 60)")
    options = parser.parse_args(argv)
    if options.most < 1:
        parser.error("--most must be at least 1")
    try:
        answered = [read_answered_set(folder, options.data) for folder in options.results]
    except (MissingDataError, BadDataError) as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    cards = [card for one in answered for card in cards_of(one, options.most)]
    facts = {one.task: f"{len(one.rows)} answers" for one in answered}
    write_page(options.out, "Answers and what they rest on", facts, cards)
    print(f"{len(cards)} questions in {options.out}")
    return DONE if cards else NOTHING_MADE


if __name__ == "__main__":
    sys.exit(main())
