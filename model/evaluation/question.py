"""One question, whatever benchmark it comes from, and one answer to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from model.evaluation.span_overlap import Span
from model.evaluation.viewing import Viewing
from model.where import Placing

Format = Literal["letter", "yes_no", "open"]
"""letter: one of the options; yes_no; open: words."""

LETTERS = "ABCDEFGHIJ"

SUBTITLES = "<subtitles>"
"""Stands in a prompt where the subtitles of the frames that are shown go."""


@dataclass(frozen=True, slots=True)
class Subtitle:
    """A line that is heard or shown from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question in the words in which the benchmark's authors ask it.

    Attributes:
        question_id: unique in its task, and the same in every run.
        viewing: what it is about; equal viewings (and equal `system`) share one compression.
        prompt: the words behind the video, options included, without the chat's marks.
        format: how the answer is read.
        options: texts of the options, in the order of their letters.
        answer: the right letter, "yes" or "no", or the reference text.
        more_answers: further texts that are as right.
        prefill: what the model's answer is made to begin with, such as "Best option: (".
        system: words in the system's turn; None: the usual ones.
        most_tokens: an answer is cut off after so many.
        subtitles: lines that take the place of `SUBTITLES` in the prompt, those heard at the frames shown.
        teacher_forced: whether to ask, instead of generating, that every token of `answer` is the likeliest where it
            stands behind `prefill`.
        answer_ends: whether the end of the turn has to be likeliest behind a forced answer, too: without it, the
            beginning of a longer answer counts as well.
        placing: how the attention of the answer becomes spans of time; None: no spans are asked for.
        attributes: what figures are grouped by: kind of question, length of the video, ...
    """

    question_id: str
    viewing: Viewing
    prompt: str
    format: Format
    answer: str
    options: tuple[str, ...] = ()
    more_answers: tuple[str, ...] = ()
    prefill: str = ""
    system: str | None = None
    most_tokens: int = 16
    subtitles: tuple[Subtitle, ...] = ()
    teacher_forced: bool = False
    answer_ends: bool = False
    placing: Placing | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def words(self, times_s: Sequence[float | None]) -> str:
        """The prompt, with the subtitles heard at any of these times (in seconds), each once and in order."""
        if SUBTITLES not in self.prompt:
            return self.prompt
        heard = [line.text for line in self.subtitles
                 if any(time is not None and line.start_s <= time < line.end_s for time in times_s)]
        return self.prompt.replace(SUBTITLES, "\n".join(heard), 1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model says to a question.

    Attributes:
        text: what it said behind the prefill; of a teacher-forced question the likeliest token at each place of the
            right answer, behind the true ones before it.
        forced: of a teacher-forced question, whether every token of the answer was the likeliest.
        spans: where it looked, the most important span first or, of lines, by time; empty: it was not asked.
        positions: that the question and the answer take up behind the video.
    """

    text: str
    forced: bool | None = None
    spans: tuple[Span, ...] = ()
    positions: int = 0
