"""Subtitles: SRT, WebVTT and YouTube's JSON3 read into lines with times, and given to the clips they fall in.

Machine-made captions roll: each cue repeats the line before it, so that two lines are seen at a time. Untangled,
every word is said once, when it is first seen.
"""

import bisect
import html
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas.half_characters import without_half_characters
from schemas.records import Subtitle

_LARGEST_BYTES = 32 << 20
_MOST_LINES = 200_000
_LATEST_S = 48 * 3600.0
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_TAG = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_LONGEST_LINE = 2000
_LONGEST_CUE_S = 600.0
_MOST_LETTERS = 20_000
"""In one clip, so that a file whose every line stands for hours does not fill the data set."""
_TOUCH_S = 0.05
"""Cues that follow each other within this time belong to one rolling text."""

Cue = tuple[float, float, str]
"""Start and end in seconds, and the words, a line feed between lines."""


class SubtitlesError(ValueError):
    """A file that holds no subtitles we can read; the message says why."""


def read_subtitles(path: Path, auto: bool) -> list[Subtitle]:
    """The lines of a subtitle file, in order of time.

    Args:
        path: a file of at most 32 MB; its content decides what it is, not its name.
        auto: whether a machine wrote it down; such lines are untangled.

    Raises:
        SubtitlesError: it is none of the three formats, or too large.
        OSError: it cannot be read.
    """
    if path.stat().st_size > _LARGEST_BYTES:
        raise SubtitlesError(f"more than {_LARGEST_BYTES >> 20} MB")
    text = _decoded(path.read_bytes())
    found = _read_json3(text) if text.lstrip().startswith("{") else _read_cues(text)
    cues = sorted(_believable(found), key=lambda cue: (cue[0], cue[1]))[:_MOST_LINES]
    if not cues and text.strip() and not text.lstrip().startswith(("WEBVTT", "{")):
        raise SubtitlesError("no line with a time was found")
    lines = _untangled(cues) if auto else cues
    return [Subtitle(start_s=start_s, end_s=end_s, text=" ".join(words.split())[:_LONGEST_LINE], auto=auto)
            for start_s, end_s, words in lines]


def in_clip(subtitles: Sequence[Subtitle], start_s: float, end_s: float) -> list[Subtitle]:
    """The lines that are seen or heard during a clip; one that crosses its end belongs to the next clip too.

    Args:
        subtitles: in order of time.
        start_s: where the clip begins, seconds.
        end_s: where it ends.
    """
    first = bisect.bisect_left(subtitles, start_s - _LONGEST_CUE_S, key=lambda line: line.start_s)
    last = bisect.bisect_left(subtitles, end_s, key=lambda line: line.start_s)
    found, letters = [], 0
    for line in itertools.islice(subtitles, first, last):
        if line.end_s > start_s:
            letters += len(line.text) + 1
            if letters > _MOST_LETTERS:
                break
            found.append(line)
    return found


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what old SRT files are written in


def _read_cues(text: str) -> Iterator[Cue]:
    """SRT and WebVTT: a line with two times, and the lines below it up to an empty one.

    A line of one space is empty in SRT as people write it; in WebVTT it is part of the cue.
    """
    is_vtt = text.startswith("WEBVTT")
    times: tuple[float, float] | None = None
    words: list[str] = []
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        found = _TIMES.match(line)
        if found:
            if times is not None:
                yield *times, _clean("\n".join(words))
            times, words = (_seconds(found.groups()[:4]), _seconds(found.groups()[4:])), []
        elif times is not None and (line if is_vtt else line.strip()):
            words.append(line)
        elif times is not None:
            yield *times, _clean("\n".join(words))
            times = None


def _read_json3(text: str) -> Iterator[Cue]:
    """YouTube's JSON3: events with a start, a duration and pieces of text."""
    try:
        events = json.loads(text).get("events", [])
    except (ValueError, AttributeError, RecursionError) as error:
        raise SubtitlesError(f"no JSON3: {type(error).__name__}") from error
    if not isinstance(events, list):
        raise SubtitlesError("no JSON3: events is no list")
    for event in events:
        start_ms, duration_ms = (_number(event, name) for name in ("tStartMs", "dDurationMs"))
        pieces = event.get("segs") if isinstance(event, dict) else None
        if start_ms is None or not isinstance(pieces, list):
            continue
        words = "".join(str(piece.get("utf8", "")) for piece in pieces if isinstance(piece, dict))
        yield start_ms / 1000, (start_ms + (duration_ms or 0)) / 1000, _clean(without_half_characters(words))


def _number(event: Any, name: str) -> float | None:
    value = event.get(name) if isinstance(event, dict) else None
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else None


def _believable(cues: Iterator[Cue]) -> Iterator[Cue]:
    for start_s, end_s, words in cues:
        if words and 0 <= start_s < end_s <= _LATEST_S:
            yield start_s, min(end_s, start_s + _LONGEST_CUE_S), words


def _untangled(cues: Sequence[Cue]) -> list[Cue]:
    """Each line of a rolling text once, from when it is first seen until the next one is."""
    said: list[Cue] = []
    shown: list[str] = []
    shown_until = -1.0
    for start_s, end_s, words in cues:
        lines = words.split("\n")
        rolling = start_s <= shown_until + _TOUCH_S
        fresh = _without_repeats(lines, shown) if rolling else lines
        if said and said[-1][1] > start_s:
            said[-1] = (said[-1][0], start_s, said[-1][2])
        if fresh:
            said.append((start_s, end_s, " ".join(fresh)))
        elif said and rolling:
            said[-1] = (said[-1][0], end_s, said[-1][2])
        shown, shown_until = lines, max(shown_until, end_s) if rolling else end_s
    return [cue for cue in said if cue[1] > cue[0]]


def _without_repeats(lines: list[str], before: list[str]) -> list[str]:
    """The lines that do not stand at the end of what was shown before."""
    for count in range(min(len(lines), len(before)), 0, -1):
        if lines[:count] == before[-count:]:
            return lines[count:]
    return lines


def _clean(words: str) -> str:
    lines = (" ".join(html.unescape(_TAG.sub("", line[:_LONGEST_LINE])).split()) for line in words.split("\n"))
    return "\n".join(line for line in lines if line)


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = parts
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
