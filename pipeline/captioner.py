"""What a captioner is: it says in words what happens in the clips of one video."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from schemas.records import Caption, Clip, Rejection, Subtitle, Video


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """A video after the decode stage.

    `folder` is the stage's product; `pipeline.decode_video.read_jpegs` reads the caption frames in it. `subtitles`
    are those of its source, by time.
    """

    video: Video
    clips: list[Clip]
    folder: Path
    subtitles: list[Subtitle] = field(default_factory=list)


class Captioner(Protocol):
    """Captions the clips of a video.

    A clip it cannot caption becomes a `Rejection`, never an exception: one bad clip does not fail a video.
    """

    name: str
    """The value of `--captioner`."""

    def depends_on(self, decoded: DecodedVideo) -> Any:
        """What its answers for this video depend on besides the video, as values JSON can hold."""

    def caption(self, decoded: DecodedVideo) -> tuple[list[Caption], list[Rejection]]:
        """A caption or a rejection for every clip, in order of the clips."""
