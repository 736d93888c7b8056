"""What commands say of their progress: bars on a terminal, plain lines in a log, JSON for programs."""

import json
import os
import pty
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipeline.progress import StageProgress, duration
from pipeline.report.command import run
from tests.generated_sets import write_generated_set


def _count_to(count: int, as_json: bool = False) -> None:
    with StageProgress(["pages", "unused"], as_json) as progress:
        for number in progress.track(range(count), "pages", count):
            if number % 2:
                progress.reject("pages")


def test_a_log_has_a_line_for_each_finished_stage(capsys: pytest.CaptureFixture[str]) -> None:
    _count_to(1000)
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("pages: 1,000 of 1,000, ")
    assert line.endswith("/s, 500 left out")


def test_a_log_hears_of_a_long_stage_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("pipeline.progress.time.monotonic", lambda: now[0])
    with StageProgress(["pages"]) as progress:
        progress.plan("pages", 1000)
        for done in range(1, 26):
            now[0] += 1.0
            progress.reach("pages", done, f"page {done}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[2] for line in lines] == ["page 10", "page 20"]
    assert all("to go" in line for line in lines)


def test_json_says_the_same_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    _count_to(10, as_json=True)
    planned, done = map(json.loads, capsys.readouterr().err.splitlines())
    assert (planned["event"], planned["stage"], planned["count"]) == ("planned", "pages", 10)
    assert (done["event"], done["done"], done["count"], done["rejected"], done["to_go_s"]) == ("done", 10, 10, 5, 0)
    assert done["per_second"] > 0


def test_a_terminal_sees_rate_time_to_go_and_what_is_left_out() -> None:
    """And what is printed meanwhile goes where it was to go."""
    program = textwrap.dedent("""
        import time
        from pipeline.progress import StageProgress
        with StageProgress(["pages"]) as progress:
            progress.plan("pages", 123456)
            for _ in range(10):
                time.sleep(0.02)
                progress.advance("pages")
            progress.reject("pages", 3)
            print("a result")
        """)
    reader, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=terminal, text=True, timeout=60, check=True,
        cwd=Path(__file__).parents[2], env=os.environ | {"TERM": "xterm", "COLUMNS": "80"})
    os.close(terminal)
    drawn = os.read(reader, 1 << 16).decode()
    os.close(reader)
    assert done.stdout == "a result\n"
    for words in ("pages", "10 of 123,456", "/s", "to go", "3 left out"):
        assert words in drawn


def test_what_was_done_before_does_not_count_for_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress(["steps"], as_json=True) as progress:
        progress.plan("steps", 1_000_001, done=1_000_000)
        progress.reach("steps", 1_000_001)
    done = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert done["per_second"] is None or done["per_second"] < 1_000_000


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")])
def test_times_are_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_command_that_has_nothing_to_do_says_so_quickly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that shows the data set as it is is not written again; one with other choices is."""
    write_generated_set(tmp_path / "set", videos=2, samples=10)
    assert run([str(tmp_path / "set"), "--log-json"]) == 0
    first = capsys.readouterr()
    assert {json.loads(line)["stage"] for line in first.err.splitlines()} == {"questions", "videos", "pictures"}
    page = (tmp_path / "set" / "report").stat().st_ino
    assert run([str(tmp_path / "set"), "--log-json"]) == 0
    assert capsys.readouterr() == (first.out, "")
    assert (tmp_path / "set" / "report").stat().st_ino == page
    assert run([str(tmp_path / "set"), "--name", "other"]) == 0
    assert (tmp_path / "set" / "report").stat().st_ino != page
