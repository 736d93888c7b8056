"""What is shown of one answer, on a page or in a picture: plain values, wherever they come from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start_s` to `end_s` in seconds, and what is said of it."""

    start_s: float
    end_s: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Still:
    """A frame of the video: its time, the bytes of a JPEG, and whether the right answer rests on it, the model pointed
    at it, or both.
    """

    time_s: float
    jpeg: bytes
    right: bool = False
    found: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A question, what was answered, and where.

    Attributes:
        video: name of the video.
        kind: of question; empty: not known.
        question, options: as they were asked.
        said: the model's answer.
        answer: the right one; None: not known.
        verdicts: what each measure says, and whether that is good.
        start_s, end_s: of the bar of time.
        levels: of as many equal stretches of the bar, how much each was looked at; the highest is 1. May be empty.
        found: stretches that the model points at.
        truth: stretches that the right answer rests on.
        stills: some frames, by time.
        said_as: what `said` is called.
    """

    video: str
    kind: str
    question: str
    options: tuple[str, ...]
    said: str
    answer: str | None
    verdicts: tuple[tuple[str, bool], ...]
    start_s: float
    end_s: float
    levels: tuple[float, ...]
    found: tuple[Stretch, ...]
    truth: tuple[Stretch, ...]
    stills: tuple[Still, ...]
    said_as: str = "Answered"
