"""The records that stages hand to each other.

Where a record becomes a row, its fields are the columns of the table of the same name in
`schemas.tables` (a test compares them). Seconds are float64, zero at the container's start.
"""

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from schemas.reasons import Reason, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter that the container or the site names."""

    start_s: float
    end_s: float
    title: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleFile:
    """A file with the words of one track."""

    path: str
    language: str | None
    auto: bool
    """Whether a machine wrote them down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A video to work on, and what a list or a site said of it."""

    path: str
    """Where the file can be opened now; empty while it is still to be fetched. Never written to the output."""
    source: str
    """How the output names it: a URL, or a path relative to the list or folder it came from."""
    title: str | None = None
    domain: str | None = None
    language: str | None = None
    license: str | None = None
    uploader: str | None = None
    published: date | None = None
    url: str | None = None
    """Where to fetch it from; None for a file that is here. May hold secrets: never written to the output."""
    fetched_lists: int = 0
    """How many fetched lists lead to it; 0: the user, or a list of his own, named it. Else a stranger did."""
    chapters: tuple[Chapter, ...] = ()
    """Chapters that the site names, for videos whose container names none."""
    subtitle_files: tuple[SubtitleFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What a site knows of a video."""

    title: str | None = None
    domain: str | None = None
    language: str | None = None
    license: str | None = None
    uploader: str | None = None
    published: date | None = None
    chapters: tuple[Chapter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A row of `videos`, but for what only the finished build knows (counts, split)."""

    video_id: str
    media: str
    source: str
    title: str | None
    domain: str | None
    language: str | None
    license: str | None
    uploader: str | None
    published: date | None
    duration_s: float
    width: int
    height: int
    fps: float
    variable_frame_rate: bool
    rotation: int
    container: str
    codec: str
    cuts_s: list[float]
    chapters: list[Chapter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtitle:
    """Words spoken or shown, with the time they belong to."""

    start_s: float
    end_s: float
    text: str
    auto: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """Something that happens at a time known more closely than its clip."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What was measured in the pixels of a clip."""

    motion: float
    """Mean speed of what moves, in picture widths per second."""
    brightness: float
    """Mean luma from 0 (black) to 1 (white)."""
    colours: list[str]
    """Names of the dominant colours, the largest first."""
    colour_shares: dict[str, float]
    """Share of the picture that each named colour takes, 0 to 1. Not a column."""
    moving_share: float
    """Share of the picture that moves, 0 to 1. Not a column."""
    direction: str | None
    """Where the motion goes (left, right, up, down), None without a clear one. Not a column."""
    brightness_change: float
    """Mean luma of the last third less that of the first. Not a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A stretch of a video as the decode pass leaves it: times, cuts and measures, no words yet."""

    clip_id: str
    video_id: str
    clip_index: int
    start_s: float
    end_s: float
    cuts_s: list[float]
    frames_expected: int
    frames_decoded: int
    measures: Measures
    caption_frames_s: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What a captioner says of one clip. Empty lists mean that it does not say."""

    clip_index: int
    caption: str
    sentences: list[str]
    captioner: str
    setting: str | None = None
    subjects: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    on_screen_text: list[str] = field(default_factory=list)
    key_events: list[KeyEvent] = field(default_factory=list)
    subtitles: list[Subtitle] = field(default_factory=list)
    model: str | None = None
    prompt: str | None = None
    answer_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """A row of `clues`: something a viewer can find again, and where it is."""

    clue_id: str
    video_id: str
    clip_indexes: list[int]
    start_s: float
    end_s: float
    text: str
    kind: str
    sentences: list[int]
    orderer: str
    kept: bool
    similarity: float
    model: str | None = None
    prompt: str | None = None
    answer_key: str | None = None
    order_given: int | None = None
    reason: Reason | None = None
    seen: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A clip that an answer rests on."""

    clue_id: str | None
    clip_index: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A question with its answer, but for what only the finished build knows (media, split)."""

    sample_id: str
    video_id: str
    kind: str
    format: str
    question: str
    options: list[str]
    answer: str
    answer_index: int | None
    span_start_s: float
    span_end_s: float
    min_frames: int
    evidence: list[Evidence]
    distance_s: float | None
    similarity: float
    orderer: str
    captioner: str
    twin_of: str | None = None
    """The sample whose clues it shows in another order."""
    frame_indexes: list[int] = field(default_factory=list)
    """The frames it shows, in this order; none: those of the span as they come. Part of the column `media`."""
    blind_right: int = 0
    blind_asked: int = 0
    """How often it was put without the video, and answered rightly. Part of the column `checks`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row of `rejected`: what was left out, where, and why."""

    stage: Stage
    reason: Reason
    detail: str
    source: str | None = None
    video_id: str | None = None
    clip_index: int | None = None
    item_id: str | None = None
    raw: str | None = None


def to_row(record: Any) -> dict[str, Any]:
    """A record as plain values, ready for JSON or Arrow (`StrEnum` members are strings already)."""
    return asdict(record)
