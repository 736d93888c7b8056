"""What is looked at before questions are asked: a stretch of a video, a folder of frames, an image.

Questions with equal viewings are asked behind one compression, so a viewing is hashable and says all that the
pictures depend on, but for the frame policy.
"""

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from model.evaluation.frame_policy import FramePolicy
from pipeline import decode
from schemas.reasons import Reason

Picture = np.ndarray
"""uint8 [height, width, 3]."""


@runtime_checkable
class Viewing(Hashable, Protocol):
    """Something to look at.

    Attributes:
        video: name of the video or image; questions about one stand or fall together, so it is what intervals are
            drawn over.
        is_image: cut into tiles at its own size, not scaled to one frame.
    """

    @property
    def video(self) -> str: ...

    @property
    def is_image(self) -> bool: ...

    def files(self) -> tuple[Path, ...]:
        """Files and folders that must be there."""
        ...

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[float | None, Picture]]:
        """(time in seconds, picture) in order; called in a thread of its own.

        Raises:
            pipeline.decode.UnreadableVideoError: a file cannot be decoded.
        """
        ...


@dataclass(frozen=True, slots=True)
class VideoStretch:
    """A stretch of a video file.

    Attributes:
        start_s, end_s: in seconds of the file; None: its end. A stretch that ends behind the file ends with it.
    """

    path: Path
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def video(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def is_image(self) -> bool:
        """No."""
        return False

    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[float, Picture]]:
        """See `Viewing`; times are those of the file."""
        facts = decode.read_facts(str(self.path))
        end_s = min(facts.duration_s, math.inf if self.end_s is None else self.end_s)
        times = policy.times(min(self.start_s, end_s), end_s, 1 / facts.fps)
        return decode.pick_frames(str(self.path), facts, times.tolist())


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """A video that is handed out as one picture file a frame, in the order of their names.

    Attributes:
        fps: of the files.
        start_s, end_s: as for `VideoStretch`.
    """

    path: Path
    fps: float
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def video(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def is_image(self) -> bool:
        """No."""
        return False

    def files(self) -> tuple[Path, ...]:
        """The folder."""
        return (self.path,)

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[float, Picture]]:
        """See `Viewing`."""
        files = sorted(self.path.iterdir())
        if not files:
            raise decode.UnreadableVideoError(Reason.NO_PICTURE, f"{self.path} holds no frame")
        end_s = min(len(files) / self.fps, math.inf if self.end_s is None else self.end_s)
        for time_s in policy.times(min(self.start_s, end_s), end_s, 1 / self.fps):
            number = min(int(time_s * self.fps + 1e-6), len(files) - 1)
            yield number / self.fps, read_picture(files[number], str(files[number]))


@dataclass(frozen=True, slots=True)
class Still:
    """One image file, at its own size.

    Attributes:
        video: see `Viewing`; given, because names of files repeat between the folders of a benchmark.
    """

    path: Path
    video: str

    @property
    def is_image(self) -> bool:
        """Yes."""
        return True

    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[None, Picture]]:
        """The image; the policy is of no matter."""
        yield None, read_picture(self.path, str(self.path))


@dataclass(frozen=True, slots=True)
class StillInFile:
    """One image that lies in the file of the questions.

    Attributes:
        video: see `Viewing`.
        data: of an image file of any kind.
    """

    video: str
    data: bytes

    @property
    def is_image(self) -> bool:
        """Yes."""
        return True

    def files(self) -> tuple[Path, ...]:
        """None of its own."""
        return ()

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[None, Picture]]:
        """The image; the policy is of no matter."""
        yield None, read_picture(BytesIO(self.data), self.video)


def read_picture(file: Path | BytesIO, name: str) -> Picture:
    """An image file as uint8 [height, width, 3].

    Raises:
        pipeline.decode.UnreadableVideoError: it cannot be decoded.
    """
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise decode.UnreadableVideoError(Reason.UNREADABLE, f"the image {name} cannot be decoded: {error}") from error
