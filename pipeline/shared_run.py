"""What the machines that work on one build agree upon while it runs: who makes which video, and whether to stop."""

import threading
import time
from typing import Protocol

from pipeline.shared_files import SharedFiles

_LOOK_EVERY_S = 2.0


class Claims(Protocol):
    """Who works on which video: the first source of its bytes."""

    def take(self, video_id: str, source: str) -> bool:
        """Whether a source is the first to ask for a video, or was so before."""


class ThreadClaims:
    """Claims of the threads of one process."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, video_id: str, source: str) -> bool:
        with self._lock:
            return self._taken.setdefault(video_id, source) == source


class SharedClaims:
    """Claims of the machines of one build.

    A claim is the source's, not the machine's: when a node dies, whoever makes its source next has the claim.
    """

    def __init__(self, files: SharedFiles, run_id: str) -> None:
        """
        Args:
            files: the output's `.work`.
            run_id: of this build; what earlier ones claimed counts for nothing.
        """
        self._files, self._run_id = files, run_id

    def take(self, video_id: str, source: str) -> bool:
        name, claim = f"runs/{self._run_id}/claims/{video_id}", source.encode("utf-8", "surrogateescape")
        return self._files.create(name, claim) or self._files.read(name) == claim


class Stop(Protocol):
    """A wish to begin nothing more; a `threading.Event` where one process builds alone."""

    def set(self) -> None:
        """Have the wish."""

    def is_set(self) -> bool:
        """Whether anybody has it."""


class SharedStop:
    """The wish of all machines of one build; looked for every two seconds. See `Stop`."""

    def __init__(self, files: SharedFiles, run_id: str) -> None:
        self._files, self._name = files, f"runs/{run_id}/stop"
        self._is_set, self._looked = False, float("-inf")

    def set(self) -> None:
        """Have every machine begin nothing more."""
        self._files.create(self._name, b"")
        self._is_set = True

    def is_set(self) -> bool:
        """Whether anybody set it."""
        now = time.monotonic()
        if not self._is_set and now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self._is_set = self._files.read(self._name) is not None
        return self._is_set


def end_run(files: SharedFiles) -> None:
    """Forget what runs agreed upon, this one and those that were broken off."""
    files.remove("runs")
