"""What the harness asks: anything that looks at frames and then answers questions about them.

    frames ----prepare (decode thread)----> pixel values ----look----> Seen ----reply, again and again----> Reply
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor

from model.evaluation.question import Question, Reply
from model.evaluation.viewing import Picture


class Seen(Protocol):
    """What is left of a video once it was looked at.

    Attributes:
        times_s: of each frame in seconds, None for frames without one.
        positions: that it takes up in the language model.
    """

    @property
    def times_s(self) -> list[float | None]: ...

    @property
    def positions(self) -> int: ...

    def reply(self, question: Question) -> Reply:
        """Answer; the next answer must not depend on this one."""
        ...


class Answerer(Protocol):
    """A model with a way to look at long videos.

    Attributes:
        method: the way, in a word: "vst", "pooled", ...
        ratio: of compression, in words.
        settings: all that its answers depend on; a stopped evaluation goes on only with the same.
    """

    method: str
    ratio: str
    settings: Mapping[str, Any]

    def prepare(self, picture: Picture, is_image: bool) -> Tensor:
        """Pixel values [crops, 3, S, S] of one picture: one crop of a frame, several of an image. Runs in a thread
        of its own, beside `look`.
        """
        ...

    def look(self, frames: Iterator[tuple[float | None, Tensor]], system: str | None) -> Seen:
        """Look at everything.

        Args:
            frames: (time in seconds, pixel values [3, S, S]), one at a time.
            system: words in the system's turn; None: the usual ones.

        Raises:
            pipeline.decode.UnreadableVideoError: passed on from `frames`.
            RatioDoesNotFitError: there is too little to see for the ratio.
            torch.OutOfMemoryError: there is too much for the device; `Seen.reply` may raise it too.
        """
        ...
