"""Subtitles of three formats, read into lines; rolling captions say everything once."""

import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.subtitles import SubtitlesError, in_clip, read_subtitles
from schemas.records import Subtitle

SRT = ("1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i>\r\nthere.\r\n \r\n"
       "2\r\n00:00:03,000 --> 00:00:04,000\r\nBye.\r\n")
VTT = """WEBVTT - a film

NOTE a note
of two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start position:0%
<v Anna>Hello</v> &amp; welcome.

01:00:03.000 --> 01:00:04.000
Bye.
"""
ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.389 align:start position:0%
\x20
hello<00:00:00.480><c> and</c><00:00:00.640><c> welcome</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
hello and welcome
\x20

00:00:02.399 --> 00:00:04.550 align:start position:0%
hello and welcome
to<00:00:02.600><c> the</c><00:00:02.800><c> show</c>

00:00:04.550 --> 00:00:04.560 align:start position:0%
to the show
\x20

00:00:04.560 --> 00:00:06.000 align:start position:0%
to the show
goodbye
"""


def _read(tmp_path: Path, text: str | bytes, auto: bool = False) -> list[tuple[float, float, str]]:
    path = tmp_path / "subtitles"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(line.start_s, line.end_s, line.text) for line in read_subtitles(path, auto)]


def test_srt(tmp_path: Path) -> None:
    assert _read(tmp_path, SRT) == [(1.0, 2.5, "Hello there."), (3.0, 4.0, "Bye.")]


def test_web_vtt(tmp_path: Path) -> None:
    assert _read(tmp_path, VTT) == [(1.0, 2.5, "Hello & welcome."), (3603.0, 3604.0, "Bye.")]


def test_json3(tmp_path: Path) -> None:
    events = [{"tStartMs": 0, "dDurationMs": 9000, "id": 1}, {"tStartMs": 1000, "dDurationMs": 3000, "segs": [
        {"utf8": "hello"}, {"utf8": " there", "tOffsetMs": 200}]}, {"tStartMs": 2500, "dDurationMs": 500, "aAppend": 1,
        "segs": [{"utf8": "\n"}]}, {"tStartMs": 2600, "dDurationMs": 2000, "segs": [{"utf8": "again"}]}]
    assert _read(tmp_path, json.dumps({"wireMagic": "pb3", "events": events}), auto=True) == [
        (1.0, 2.6, "hello there"), (2.6, 4.6, "again")]


def test_half_an_emoji_becomes_a_character_that_a_table_holds(tmp_path: Path) -> None:
    """Two halves in two pieces are one emoji."""
    events = [{"tStartMs": 0, "dDurationMs": 2000, "segs": [{"utf8": "nice \ud83d"}]},
              {"tStartMs": 3000, "dDurationMs": 2000, "segs": [{"utf8": "nice \ud83d"}, {"utf8": "\ude00"}]}]
    assert _read(tmp_path, json.dumps({"events": events})) == [
        (0.0, 2.0, "nice \ufffd"), (3.0, 5.0, "nice \U0001f600")]


def test_rolling_captions_say_every_word_once(tmp_path: Path) -> None:
    lines = _read(tmp_path, ROLLING, auto=True)
    assert [words for _, _, words in lines] == ["hello and welcome", "to the show", "goodbye"]
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(lines))
    assert lines[0][0] == 0.16
    assert lines[-1][1] == 6.0


def test_what_is_said_again_later_is_kept(tmp_path: Path) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\nyes\n\n00:05.000 --> 00:06.000\nyes\n"
    assert [words for _, _, words in _read(tmp_path, text, auto=True)] == ["yes", "yes"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 1000))
def test_any_rolling_text_comes_out_as_it_was_said(tmp_path_factory: pytest.TempPathFactory, numbers: list[int],
                                                   seed: int) -> None:
    """Two lines at a time, as YouTube writes them, words of a line repeated or not."""
    said = [f"line {count} says {number}" for count, number in enumerate(numbers)]
    step = random.Random(seed).choice([1.0, 2.0, 3.5])
    cues = ["WEBVTT\n"]
    for count, line in enumerate(said):
        before = said[count - 1] if count else ""
        start_s, end_s = count * step, (count + 1) * step
        cues.append(f"{_stamp(start_s)} --> {_stamp(end_s - 0.01)}\n{before or ' '}\n{line}\n")
        cues.append(f"{_stamp(end_s - 0.01)} --> {_stamp(end_s)}\n{line}\n \n")
    lines = _read(tmp_path_factory.mktemp("rolling"), "\n".join(cues), auto=True)
    assert [words for _, _, words in lines] == said


def _stamp(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}.{whole % 1000:03}"


@pytest.mark.parametrize(("data", "words"), [
    ("1\n00:00:01,0 --> 00:00:02,0\ncafé\n".encode("cp1252"), "café"),
    ("1\n00:00:01,0 --> 00:00:02,0\ncafé\n".encode("utf-16"), "café"),
    ("\ufeff1\n00:00:01,0 --> 00:00:02,0\ncafé\n".encode(), "café"),
])
def test_old_encodings_are_read(tmp_path: Path, data: bytes, words: str) -> None:
    assert _read(tmp_path, data) == [(1.0, 2.0, words)]


@pytest.mark.parametrize("text", ["hello", "<html></html>", '{"events": 3}', "{", "[" * 100_000, '{"a":' * 100_000])
def test_what_holds_no_subtitles_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(SubtitlesError):
        _read(tmp_path, text)


@pytest.mark.parametrize("times", ["00:00:05.000 --> 00:00:02.000", "99:00:00.000 --> 99:00:01.000"])
def test_times_that_cannot_be_are_left_out(tmp_path: Path, times: str) -> None:
    assert _read(tmp_path, f"WEBVTT\n\n{times}\nwhen?\n") == []


def test_hostile_text_takes_no_long_time(tmp_path: Path) -> None:
    for text in ("WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<" * 3_000_000, " " * 3_000_000 + "x", "0" * 3_000_000):
        try:
            _read(tmp_path, text)
        except SubtitlesError:
            assert "WEBVTT" not in text


def test_lines_go_to_every_clip_in_which_they_are_seen() -> None:
    lines = [Subtitle(start_s=1, end_s=2, text="a"), Subtitle(start_s=13, end_s=15, text="b"),
             Subtitle(start_s=14, end_s=16, text="c")]
    assert [line.text for line in in_clip(lines, 0, 14)] == ["a", "b"]
    assert [line.text for line in in_clip(lines, 14, 28)] == ["b", "c"]


def test_lines_that_stand_for_hours_do_not_fill_every_clip(tmp_path: Path) -> None:
    cue = "00:00:01.000 --> 40:00:00.000\n" + "word " * 1000 + "\n\n"
    path = tmp_path / "subtitles"
    path.write_text("WEBVTT\n\n" + cue * 1000)
    lines = read_subtitles(path, auto=False)
    assert sum(len(line.text) for line in in_clip(lines, 0, 14)) <= 20_000
    assert in_clip(lines, 700, 714) == []


@given(st.lists(st.tuples(st.floats(0, 900), st.floats(0.1, 600)), max_size=60), st.floats(0, 900), st.floats(1, 60))
def test_a_clip_has_the_lines_that_touch_it(spans: list[tuple[float, float]], start_s: float, lasts_s: float) -> None:
    lines = [Subtitle(start_s=start, end_s=start + lasts, text="x") for start, lasts in sorted(spans)]
    end_s = start_s + lasts_s
    assert in_clip(lines, start_s, end_s) == [
        line for line in lines if line.start_s < end_s and line.end_s > start_s]
