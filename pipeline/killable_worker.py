"""A process that does one job at a time and may be killed when it hangs.

Native decoders hang or crash on hostile files, and a hung one holds the interpreter's lock: no thread
or signal of its own process can stop it. So decoding runs in a spawned process (never forked: the
parent has threads) that reports progress, and that is killed when it has reported nothing for too long.
"""

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

_BEGINS_WITHIN_S = 600.0
"""Starting a process and importing what a job needs take long where a machine is busy."""

Report = Callable[[float], None]
"""Takes the share of a job that is done, 0 to 1. A job that goes on must call it now and then."""


class WorkerStalledError(Exception):
    """The worker reported nothing for too long and was killed."""


class WorkerCrashedError(Exception):
    """The worker's process died."""


class WorkerNotStartedError(Exception):
    """The worker has not begun its job for ten minutes: the fault of the machine, not of what the job reads."""


class KillableWorker:
    """One process, started when it is first needed and again after it was killed."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Connection | None = None

    def run(
        self, job: Callable[..., Any], *arguments: Any, stall_seconds: float, on_progress: Report | None = None
    ) -> Any:
        """Run `job(report, *arguments)` in the process.

        Args:
            job: a function at the top of a module.
            arguments: what it takes after `report`; everything must pickle.
            stall_seconds: longest silence before the process is killed, from when the job has begun.
            on_progress: called with every share that the job reports.

        Returns:
            What the job returns.

        Raises:
            WorkerStalledError: no report for `stall_seconds`.
            WorkerCrashedError: the process died.
            WorkerNotStartedError: the job did not begin.
            Exception: whatever the job raised.
        """
        if self._process is None:
            self._start()
        try:
            with self._death_told():
                self._pipe.send((job, arguments))
            kind, value = self._answer(stall_seconds, on_progress)
        except BaseException:
            # A job left unanswered would answer the next one.
            if self._is_busy:
                self.close()
            raise
        if kind == "error":
            raise value
        return value

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = self._pipe = None

    def _answer(self, stall_seconds: float, on_progress: Report | None) -> tuple[str, Any]:
        """How the job ended, done or error, and what it returned or raised."""
        self._is_busy = True
        self._wait_until_begun()
        while True:
            with self._death_told():
                if not self._pipe.poll(stall_seconds):
                    raise WorkerStalledError(f"no progress for {stall_seconds:g} s")
                kind, value = self._pipe.recv()
            if kind != "progress":
                self._is_busy = False
                return kind, value
            if on_progress is not None:
                on_progress(value)

    def _wait_until_begun(self) -> None:
        with self._death_told():
            if not self._pipe.poll(_BEGINS_WITHIN_S):
                raise WorkerNotStartedError(f"a process did not begin its work within {_BEGINS_WITHIN_S:g} s")
            self._pipe.recv()

    @contextlib.contextmanager
    def _death_told(self) -> Iterator[None]:
        """For use of the pipe alone: what a job raises may be of the same types."""
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join()
            code = self._process.exitcode
            self.close()
            raise WorkerCrashedError(f"the process died with exit code {code}") from error

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._is_busy = False
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _ctrl_c_blocked():
            self._process.start()
        theirs.close()


class WorkerPool:
    """So many killable workers, lent to threads."""

    def __init__(self, size: int) -> None:
        self._idle: queue.LifoQueue[KillableWorker] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(KillableWorker())
        self._size = size

    @contextlib.contextmanager
    def borrow(self) -> Iterator[KillableWorker]:
        """A worker for the time of the block; waits until one is idle."""
        worker = self._idle.get()
        try:
            yield worker
        finally:
            self._idle.put(worker)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for _ in range(self._size):
            self._idle.get().close()


@contextlib.contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """What is started in the block never hears of Ctrl-C, which is for the parent to decide.

    The mask is inherited. A handler set by the process itself would come a second late, after its imports.
    """
    resource_tracker.ensure_running()  # when it is started, it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection) -> None:
    """The life of the process: jobs in, reports and answers out, until the pipe or the parent ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job, arguments = pipe.recv()  # imports the module of the job
        except EOFError:
            return
        pipe.send(("begun", None))
        try:
            answer = ("done", job(lambda share: pipe.send(("progress", share)), *arguments))
        except Exception as error:  # handed to the caller, who raises it
            answer = ("error", error)
        pipe.send(answer)


def _end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
