"""What a benchmark is to the harness: questions, how an answer is scored, and which figures come of the scores."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.evaluation.accuracy import Estimate
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question, Reply

NO_ROOM = "no room on the device"
"""What `AnswerRow.problem` says, or begins with, where the device's memory was too small."""


class MissingDataError(Exception):
    """A file of a benchmark is not where it is expected; the message says where it comes from."""


class BadDataError(Exception):
    """A file of a benchmark holds something else than it should; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Score:
    """What an answer was taken for, and what it is worth.

    Attributes:
        read: the letter or word that was read from it; None: nothing could be.
        value: 0 to 1 (of judged answers: what the judge gave).
    """

    read: str | None
    value: float


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A question that was answered; a row of answers.parquet.

    Attributes:
        task, question_id: which.
        video: see `Viewing.video`.
        prompt, options, answer, format, attributes: of the question; the prompt with its subtitles.
        said: the reply; see `Reply.text` for what it is of open questions that are asked with their answer in place.
        read, score: see `Score`.
        frames: frames (of an image: tiles) that were shown.
        positions: positions that the compressed video, the question and the answer take up in the language model.
        ratio, method: how the video was compressed.
        policy: how its frames were chosen.
        problem: why it could not be asked; its score is 0 then.
    """

    task: str
    question_id: str
    video: str
    prompt: str
    options: list[str]
    answer: str
    format: str
    attributes: dict[str, str]
    said: str
    read: str | None
    score: float
    frames: int
    positions: int
    ratio: str
    method: str
    policy: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the results.

    Attributes:
        name: "overall", or what it is of: "task_type: Counting Problem".
        estimate: its mean and interval.
        published: what the authors of Video-XL published for it, on the same scale, where they did.
    """

    name: str
    estimate: Estimate
    published: float | None = None


@dataclass(frozen=True, eq=False)
class Task(ABC):
    """A benchmark. One object a name of --task; it holds no state.

    Attributes:
        name: as --task has it.
        folder: under --data, where its files are.
        source: where the files come from, in words.
        policy: the frame policy that published figures were made with.
        published: of a figure's name, Video-XL's own figure on the same scale (0.649).
        published_in: where those were found.
        scoring: raised whenever a reply comes to be scored in another way; stored answers keep the score they got, so
            they are not gone on with under another number. None: it never was.
    """

    name: str
    folder: str
    source: str
    policy: FramePolicy
    published: Mapping[str, float] = field(default_factory=dict)
    published_in: str = ""
    scoring: int | None = field(default=None, kw_only=True)

    @abstractmethod
    def questions(self, data: Path) -> list[Question]:
        """Read the official files.

        Args:
            data: the folder given as --data.

        Raises:
            MissingDataError, BadDataError: a file is missing or not what it should be.
        """

    @abstractmethod
    def score(self, question: Question, reply: Reply) -> Score:
        """Read one answer and score it; the same reply always gives the same score."""

    @abstractmethod
    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """The figures of all answers, the one that is quoted first."""

    def submissions(self, rows: Sequence[AnswerRow]) -> dict[str, Any]:
        """Files in the benchmark's own form, name to what is written as JSON; most have none."""
        return {}
