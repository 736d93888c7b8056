"""The process that decodes may hang or crash; the one that asked goes on, and nothing is left behind."""

import ctypes
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.decode import UnreadableVideoError
from pipeline.killable_worker import (
    KillableWorker,
    Report,
    WorkerCrashedError,
    WorkerNotStartedError,
    WorkerPool,
    WorkerStalledError,
)
from schemas.reasons import Reason
from tests.builds import running

LONG_S = 1000
PATIENT_S = 60


def answer(report: Report, value: int) -> tuple[int, int]:
    report(0.5)
    report(1.0)
    return value, os.getpid()


def sleep(report: Report) -> None:
    time.sleep(LONG_S)


def hang_like_a_decoder(report: Report) -> None:
    """Holds the interpreter's lock: no thread and no signal handler of its process can run."""
    ctypes.PyDLL(None).sleep(LONG_S)


def abort(report: Report) -> None:
    os.abort()


def refuse(report: Report) -> None:
    raise UnreadableVideoError(Reason.NO_PICTURE, "sound only")


def end_like_a_pipe(report: Report, error: Exception) -> None:
    """As PyAV does when a file ends too early, or a network client when the other side is gone."""
    raise error


def take_long_but_report(report: Report, seconds: float) -> str:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        time.sleep(0.2)
        report((time.monotonic() - started) / seconds)
    return "done"


@pytest.fixture
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def _works(worker: KillableWorker) -> int:
    value, pid = worker.run(answer, 7, stall_seconds=PATIENT_S)
    assert value == 7
    return pid


def test_a_job_runs_in_another_process_and_reports(worker: KillableWorker) -> None:
    shares: list[float] = []
    value, pid = worker.run(answer, 5, stall_seconds=PATIENT_S, on_progress=shares.append)
    assert (value, shares) == (5, [0.5, 1.0])
    assert pid != os.getpid()
    assert _works(worker) == pid


@pytest.mark.parametrize("job", [sleep, hang_like_a_decoder])
def test_a_job_that_hangs_is_killed_and_the_worker_can_be_used_again(
    worker: KillableWorker, job: Callable[[Report], None]
) -> None:
    before = _works(worker)
    started = time.monotonic()
    with pytest.raises(WorkerStalledError, match="no progress for 1 s"):
        worker.run(job, stall_seconds=1)
    assert time.monotonic() - started < PATIENT_S
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert _works(worker) != before


def test_a_job_that_crashes_is_told_and_the_worker_can_be_used_again(worker: KillableWorker) -> None:
    with pytest.raises(WorkerCrashedError, match="exit code -6"):
        worker.run(abort, stall_seconds=PATIENT_S)
    _works(worker)


def test_what_a_job_raises_comes_through_and_the_process_stays(worker: KillableWorker) -> None:
    before = _works(worker)
    with pytest.raises(UnreadableVideoError) as caught:
        worker.run(refuse, stall_seconds=PATIENT_S)
    assert (caught.value.reason, caught.value.detail) == (Reason.NO_PICTURE, "sound only")
    assert _works(worker) == before


@pytest.mark.parametrize("error", [EOFError("cut short"), ConnectionResetError(104, "reset"), BrokenPipeError(32, "x")])
def test_a_job_that_raises_what_a_broken_pipe_raises_has_not_died(worker: KillableWorker, error: Exception) -> None:
    before = _works(worker)
    with pytest.raises(type(error), match=str(error.args[-1])):
        worker.run(end_like_a_pipe, error, stall_seconds=PATIENT_S)
    assert _works(worker) == before


def test_what_a_look_at_the_progress_raises_comes_through_and_the_job_is_ended(worker: KillableWorker) -> None:
    def look(share: float) -> None:
        raise ConnectionResetError("nobody looks")

    with pytest.raises(ConnectionResetError, match="nobody looks"):
        worker.run(answer, 7, stall_seconds=PATIENT_S, on_progress=look)
    _works(worker)


def test_a_job_may_take_longer_than_the_limit_while_it_reports(worker: KillableWorker) -> None:
    _works(worker)
    assert worker.run(take_long_but_report, 4.5, stall_seconds=3) == "done"


SLOW_TO_IMPORT = """
import time

time.sleep(3)


def job(report):
    return "done"
"""


@pytest.fixture
def job_slow_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Report], str]:
    (tmp_path / "job_slow_to_import.py").write_text(SLOW_TO_IMPORT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "job_slow_to_import", raising=False)
    return importlib.import_module("job_slow_to_import").job


def test_what_a_process_takes_to_start_is_no_silence_of_the_job(
    worker: KillableWorker, job_slow_to_import: Callable[[Report], str]
) -> None:
    assert worker.run(job_slow_to_import, stall_seconds=1) == "done"


def test_a_process_that_does_not_start_is_told_as_no_fault_of_the_job(
    worker: KillableWorker, job_slow_to_import: Callable[[Report], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.killable_worker._BEGINS_WITHIN_S", 0.2)
        with pytest.raises(WorkerNotStartedError, match="did not begin its work"):
            worker.run(job_slow_to_import, stall_seconds=PATIENT_S)
    _works(worker)


def test_a_pool_lends_each_worker_to_one_at_a_time_and_ends_them_all() -> None:
    with WorkerPool(2) as pool, pool.borrow() as one, pool.borrow() as other:
        pids = {_works(one), _works(other)}
        assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


PARENT = """
import time
from pipeline.killable_worker import KillableWorker
from tests.pipeline.test_killable_worker import answer, sleep

worker = KillableWorker()
worker.run(answer, 1, stall_seconds=60)
print("ready", flush=True)
worker.run(sleep, stall_seconds=1000)
"""


def test_the_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)})
    try:
        assert parent.stdout.readline() == "ready\n"
        assert len(running(parent.pid)) >= 2
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    deadline = time.monotonic() + 20
    while running(parent.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(parent.pid) == []


UNDER_CTRL_C = """
import os, signal, threading, time
from pipeline.killable_worker import KillableWorker
from tests.pipeline.test_killable_worker import answer

signal.signal(signal.SIGINT, lambda *_: None)
over = threading.Event()

def press():
    while not over.wait(0.02):
        os.killpg(0, signal.SIGINT)

threading.Thread(target=press).start()
worker = KillableWorker()
print(worker.run(answer, 7, stall_seconds=60)[0], flush=True)
worker.close()
over.set()
"""


def test_ctrl_c_is_for_the_parent_from_the_first_moment_on(tmp_path: Path) -> None:
    """The terminal sends it to every process of the group, also to one that is being started."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", UNDER_CTRL_C], capture_output=True, text=True, start_new_session=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)}, timeout=60, check=False)
    assert done.stdout == "7\n", done.stderr
