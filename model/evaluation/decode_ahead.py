"""Frames decoded and scaled in a thread, ahead of the model, from one viewing into the next."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from model.evaluation.frame_policy import FramePolicy
from model.evaluation.viewing import Picture, Viewing

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing that comes of a viewing: how it ended."""

    error: Exception | None = None


class DecodeAhead:
    """For the time of a block, a thread goes through viewings and keeps so many crops ready.

    Args:
        viewings: in the order in which they will be asked for.
        policy: which frames.
        prepare: pixel values [crops, 3, S, S] of a picture; called in the thread.
        most_waiting: crops that may wait; one of 336 pixels takes 1.4 MB.
    """

    def __init__(
        self, viewings: Sequence[Viewing], policy: FramePolicy, prepare: Callable[[Picture, bool], Tensor],
        most_waiting: int = 128,
    ) -> None:
        self._viewings, self._policy, self._prepare = viewings, policy, prepare
        self._ready: queue.Queue[tuple[int, Any]] = queue.Queue(most_waiting)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decode-ahead", daemon=True)

    def __enter__(self) -> "DecodeAhead":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def frames(self, number: int) -> Iterator[tuple[float | None, Tensor]]:
        """(time in seconds, pixel values [3, S, S]) of a viewing; what is left of earlier ones is thrown away.

        Args:
            number: of the viewing; rising from call to call.

        Raises:
            Whatever reading the viewing raised, when the frames before it are taken.
        """
        while True:
            of_viewing, item = self._ready.get()
            if of_viewing < number:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _run(self) -> None:
        for number, viewing in enumerate(self._viewings):
            end = _End()
            try:
                for time_s, picture in viewing.pictures(self._policy):
                    for crop in self._prepare(picture, viewing.is_image):
                        self._put(number, (time_s, crop))
                    if self._stop.is_set():
                        return
            except Exception as error:  # it is raised again where the frames are taken
                end = _End(error)
            self._put(number, end)

    def _put(self, number: int, item: Any) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put((number, item), timeout=_LOOK_EVERY_S)
                return
            except queue.Full:
                continue
