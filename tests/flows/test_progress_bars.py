"""What a build says of its progress where there is no terminal: plain lines, or JSON."""

import json
import re
from pathlib import Path

import pytest

from flows.progress_bars import ProgressBars
from pipeline.journal import Journal


def _build(folder: Path) -> None:
    journal = Journal(folder)
    journal.say("planned", "run", "videos", count=2)
    journal.say("done", "decode", "a [red] film.mp4")
    journal.say("rejected", "decode", "b.mp4", reason="unreadable")
    journal.close()


def test_json_is_a_line_for_each_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars(tmp_path / "journal.jsonl", as_json=True):
        _build(tmp_path)
    said = capsys.readouterr()
    assert said.out == ""
    assert [json.loads(line) for line in said.err.splitlines()] == [
        json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]


def test_plain_lines_name_what_is_done_and_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressBars(tmp_path / "journal.jsonl"):
        _build(tmp_path)
    first, second, third = capsys.readouterr().err.splitlines()
    assert (first, second) == ("decode: a [red] film.mp4 done", "left out: b.mp4 (unreadable)")
    assert re.fullmatch(r"decode: 2 of 2, .+, 1 left out", third)
