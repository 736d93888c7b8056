"""What can become of a source and of a build."""

from dataclasses import dataclass

from pipeline.table_rows import VideoProducts
from schemas.records import Rejection, Source


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A video that has to wait for another run: no failure, and nothing to retry now."""

    why: str


@dataclass(frozen=True, slots=True)
class SetupWrong:
    """No request to a model server can succeed as things are set up: nothing to retry, and no use in going on."""

    why: str


Outcome = VideoProducts | Rejection | Unfinished | SetupWrong
"""What becomes of a video."""


@dataclass(frozen=True, slots=True)
class SourceMade:
    """What became of a source; no outcome where another source of the same bytes has it."""

    source: Source
    video_id: str
    outcome: Outcome | None
    planted: Outcome | None = None
    """What became of the copy with planted needles; None where none was made."""


@dataclass(frozen=True, slots=True)
class SourcesFound:
    """A source that turned out to be a list."""

    sources: list[Source]
    rejected: list[Rejection]


class WrongSetupError(Exception):
    """A model server refuses everything: wrong key, wrong model, wrong limits; or the output cannot hold what was asked
    for. Finished stages are kept."""


class BuildFailedError(Exception):
    """Videos failed by a fault of ours, twice each; their finished stages are kept."""
