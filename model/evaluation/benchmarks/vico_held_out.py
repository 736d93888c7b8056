"""The held-out split of a VICO data set: does a model know in which order things happened, and where?

Questions with options count if the letter is right; open ones if every word of the stored answer, and its end, is the
likeliest where it stands, which says that greedy decoding gives it. Figures by kind of question, by length of the
stretch, by how far apart its moments lie, and apart for questions of which too few frames were shown (`min_frames`).
Twins are the same question about clips in exchanged places: who tells the more plausible story is right in one of them
only.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.evaluation.figures import Item, figures_of
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_reading import in_brackets
from model.evaluation.question import LETTERS, Question, Reply
from model.evaluation.stored_stretch import StoredStretch
from model.evaluation.task import AnswerRow, BadDataError, Figure, MissingDataError, Score, Task
from model.training.frame_table import FrameTable, read_frame_table
from model.training.shard_files import ShardError, open_table

SOURCE = (
    "A VICO data set is what build-vico wrote (with --test-share above 0): its folder, or a link to it, is called VICO "
    "and lies in the folder given as --data.")
POLICY = FramePolicy(2048, fps=1)
_MARK = "<image>\n"
_MINUTES = (1, 3, 10, 30, 60)


@dataclass(frozen=True, eq=False)
class VicoHeldOut(Task):
    """Samples of the test split."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`; in the order of videos and stretches."""
        root = data / self.folder
        table = frames_of_set(self, root)
        found = [_question(root, table, row) for row in held_out_rows(root, "samples") if not row["calibration"]]
        if not found:
            raise BadDataError(f"{root} holds no test samples: build it with --test-share above 0")
        return sorted(found, key=lambda one: (one.viewing.video, one.viewing.start_s or 0, one.question_id))

    def score(self, question: Question, reply: Reply) -> Score:
        """1 for the right letter, or for the stored words."""
        if question.format == "open":
            return Score(None, float(bool(reply.forced)))
        letter = in_brackets(question, reply.text)
        return Score(letter, float(letter == question.answer))

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """See the top of the file."""
        items = [
            Item(row.video, row.score, {**row.attributes, "evidence": _evidence(row)}) for row in rows]
        figures = figures_of(items, ("kind", "format", "span", "distance", "evidence"))
        pairs = [*_twin_pairs(rows)]
        return [*figures, *(figures_of(pairs, overall="twins, both right") if pairs else ())]


def frames_of_set(task: Task, root: Path) -> FrameTable:
    """Where the frames of a data set lie.

    Raises:
        MissingDataError, BadDataError: it is not there, not finished, or damaged.
    """
    if not (root / "manifest.json").is_file():
        raise MissingDataError(f"{task.name}: no finished data set {root} (no manifest.json)\n{task.source}")
    try:
        return read_frame_table([root])
    except ShardError as error:
        raise BadDataError(str(error)) from error


def held_out_rows(root: Path, table: str) -> Iterator[dict[str, Any]]:
    """Rows of the test split of a table.

    Raises:
        BadDataError: a file is damaged.
    """
    for path in sorted((root / "data" / table).glob("test-*.parquet")):
        try:
            yield from open_table(path, table).read().to_pylist()
        except (ShardError, OSError) as error:
            raise BadDataError(str(error)) from error


def minutes_up_to(seconds: float | None) -> str:
    """A length of time as a group: "up to 3 min"."""
    if seconds is None:
        return "none"
    fitting = next((minutes for minutes in _MINUTES if seconds <= 60 * minutes), None)
    return f"over {_MINUTES[-1]} min" if fitting is None else f"up to {fitting:2d} min"


def _question(root: Path, table: FrameTable, row: Mapping[str, Any]) -> Question:
    [medium, *_], [asked, said, *_] = row["media"], row["conversations"]
    viewing = StoredStretch(
        root, medium["video_id"], medium["start_s"], medium["end_s"], tuple(medium["frame_indexes"] or ()), table)
    has_letter = row["format"] == "multiple_choice"
    span_s = None if row["span_end_s"] is None else row["span_end_s"] - row["span_start_s"]
    return Question(
        question_id=row["sample_id"], viewing=viewing, prompt=asked["value"].removeprefix(_MARK),
        format="letter" if has_letter else "open",
        answer=LETTERS[row["answer_index"]] if has_letter else said["value"],
        options=tuple(row["options"]) if has_letter else (), teacher_forced=not has_letter,
        answer_ends=not has_letter,
        attributes={
            "kind": row["kind"], "format": row["format"], "span": minutes_up_to(span_s),
            "distance": minutes_up_to(row["distance_s"]), "min_frames": str(row["min_frames"] or 0),
            "twin_of": row["twin_of"] or ""})


def _evidence(row: AnswerRow) -> str:
    return "shown" if row.frames >= int(row.attributes["min_frames"]) else "not shown"


def _twin_pairs(rows: Sequence[AnswerRow]) -> Iterator[Item]:
    by_id = {row.question_id: row for row in rows}
    pairs: dict[str, list[AnswerRow]] = defaultdict(list)
    for row in rows:
        if row.attributes["twin_of"] in by_id:
            pairs[row.attributes["twin_of"]].append(row)
    for first, twins in pairs.items():
        for twin in twins:
            yield Item(twin.video, float(twin.score == by_id[first].score == 1), twin.attributes)


TASKS: list[Task] = [VicoHeldOut("vico-test", "VICO", SOURCE, POLICY, scoring=2)]
