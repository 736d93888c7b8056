"""Records of instruction data, one at a time, in one form: media, and turns of human and model with a mark for each.

Understood are LLaVA-style records (`image` or `video`, one path or several, and `conversations`), image-caption
pairs (`image` and `caption`), and words alone. Who speaks may be called human or user, gpt or assistant; a
mark may be written <image>, <video> or <ImageHere>.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TextIO

from schemas.reasons import Reason

MARK = "<image>"
_OTHER_MARKS = re.compile(r"<video>|<ImageHere>")
_SPEAKERS = {
    "human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt", "model": "gpt", "system": "system"}
_MEDIA = {"image": "image", "images": "image", "video": "video", "videos": "video"}
_READ_CHARACTERS = 1 << 20
_LONGEST_RECORD = 64 << 20
_RAW_SHOWN = 500
_OPTION = re.compile(r"^\(([A-Z])\)\s*(.+)$", re.MULTILINE)

Kind = Literal["caption", "instruction"]


class RecordsError(Exception):
    """A file of records cannot be read; the message says where it breaks."""


class UnusableRecordError(Exception):
    """A record that cannot be used, with the reason for the table `rejected`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Instruction:
    """A record in the one form."""

    record_id: str | None
    """What the list calls it."""
    media: Literal["image", "video"] | None
    paths: tuple[str, ...]
    """Relative to the folder of media, in the order of the marks."""
    kind: Kind
    turns: tuple[tuple[str, str], ...]
    """(human, gpt or system; words)."""


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """What a lettered question asks."""

    question: str
    options: tuple[str, ...]
    answer_index: int


def read_values(path: Path) -> Iterator[tuple[int, Any]]:
    """The values of a file with their numbers, from 1: entries of a JSON list, or lines.

    A line that is no JSON is given as a `UnusableRecordError`; a list that breaks cannot be read on.

    Args:
        path: read a megabyte at a time.

    Raises:
        RecordsError: the file is missing, no UTF-8, or its list breaks.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            start = file.read(_READ_CHARACTERS)
            if start.lstrip().startswith("["):
                yield from enumerate(_entries(start.lstrip()[1:], file, path), start=1)
            else:
                file.seek(0)
                yield from _lines(file)
    except OSError as error:
        raise RecordsError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordsError(f"{path}: not UTF-8 at byte {error.start} of a block: {error.reason}") from error


def _lines(file: TextIO) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, UnusableRecordError(Reason.RECORD_UNREADABLE, f"line {number} is no JSON: {error}")


def _entries(text: str, file: TextIO, path: Path) -> Iterator[Any]:
    """The entries of a JSON list behind its bracket, with no more than one entry and a block in memory."""
    decoder, number = json.JSONDecoder(), 1
    at = 0

    def more() -> bool:
        nonlocal text, at
        # As much again as is waiting, so that a long entry is not tried over and over.
        block = file.read(max(_READ_CHARACTERS, len(text) - at))
        text, at = text[at:] + block, 0
        return bool(block)

    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at == len(text):
            if not more():
                raise RecordsError(f"{path}: the list ends after {number - 1} entries without its closing bracket")
            continue
        if text[at] == "]":
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if len(text) - at < _LONGEST_RECORD and more():
                continue
            raise RecordsError(f"{path}: entry {number} of the list is no JSON: {error}") from error
        length = end - at
        while end < len(text) and text[end] in " \t\r\n":
            end += 1
        if text[end:end + 1] not in (",", "]"):  # a number may go on behind what is here
            may_go_on = end == len(text) or isinstance(value, (int, float))
            if may_go_on and len(text) - at < _LONGEST_RECORD and more():
                continue
            if end < len(text):
                raise RecordsError(f"{path}: no comma stands behind entry {number} of the list")
        yield value
        at, number = at + length, number + 1


def read_instruction(value: Any) -> Instruction:
    """One value in the one form.

    Where a record has media and its words no mark, the marks are put in front of the first question, as LLaVA's own
    trainers do.

    Raises:
        UnusableRecordError: it cannot be used.
    """
    if isinstance(value, UnusableRecordError):
        raise value
    if not isinstance(value, dict):
        raise UnusableRecordError(Reason.RECORD_UNREADABLE, f"a record must be an object, not {type(value).__name__}")
    _check_text(value)
    media, paths = _media_of(value)
    turns, kind = _turns_of(value, bool(paths))
    turns = [(speaker, _OTHER_MARKS.sub(MARK, words)) for speaker, words in turns]
    _check_turns(turns)
    if paths and not any(MARK in words for _, words in turns):
        first = next(number for number, (speaker, _) in enumerate(turns) if speaker == "human")
        turns[first] = ("human", f"{MARK}\n" * len(paths) + turns[first][1])
    marks = sum(words.count(MARK) for speaker, words in turns)
    if marks != len(paths) or any(MARK in words for speaker, words in turns if speaker == "gpt"):
        where = " and some of them in answers" if marks == len(paths) else ""
        raise UnusableRecordError(
            Reason.MARKS_AND_MEDIA_DIFFER, f"{marks} marks, {len(paths)} pictures or videos{where}")
    record_id = value.get("id")
    return Instruction(None if record_id is None else str(record_id), media, paths, kind, tuple(turns))


def shown_raw(value: Any) -> str:
    """The beginning of a record, for the table `rejected`."""
    text = str(value.detail) if isinstance(value, UnusableRecordError) else json.dumps(value, ensure_ascii=False)
    return text[:_RAW_SHOWN].encode("utf-8", "replace").decode()


def multiple_choice(question: str, answer: str) -> MultipleChoice | None:
    """A question with lettered options taken apart, where the answer begins with one of the letters."""
    found = list(_OPTION.finditer(question))
    letters = "".join(match[1] for match in found)
    given = re.match(r"\(([A-Z])\)", answer)
    if len(found) < 2 or not "ABCDEFGHIJKLMNOPQRSTUVWXYZ".startswith(letters) or not given or given[1] not in letters:
        return None
    stem = question[:found[0].start()].strip().removesuffix("Options:").strip()
    return MultipleChoice(stem, tuple(match[2].strip() for match in found), letters.index(given[1]))


def _check_text(value: dict[str, Any]) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UnusableRecordError(
            Reason.RECORD_UNREADABLE, "it holds half a character, which no table can hold") from error


def _media_of(value: dict[str, Any]) -> tuple[Literal["image", "video"] | None, tuple[str, ...]]:
    named = [key for key in _MEDIA if value.get(key) not in (None, "", [])]
    if not named:
        return None, ()
    if len(named) > 1:
        raise UnusableRecordError(
            Reason.RECORD_UNREADABLE, f"it names both {named[0]!r} and {named[1]!r}: their order is unsaid")
    paths = value[named[0]]
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        raise UnusableRecordError(Reason.RECORD_UNREADABLE, f"{named[0]!r} must be a path or a list of paths")
    return _MEDIA[named[0]], tuple(map(_inside, paths))


def _inside(path: str) -> str:
    """A path without detours that stays inside its folder."""
    parts = PurePosixPath(path).parts
    if "://" in path or "\0" in path or PurePosixPath(path).is_absolute() or ".." in parts:
        raise UnusableRecordError(Reason.ADDRESS_NOT_ALLOWED, f"{path!r} does not lie in the folder of media")
    return PurePosixPath(path).as_posix()


def _turns_of(value: dict[str, Any], has_media: bool) -> tuple[list[tuple[str, str]], Kind]:
    talk = value.get("conversations")
    if talk is None and has_media and isinstance(value.get("caption"), str):
        return [("human", ""), ("gpt", value["caption"])], "caption"
    if not isinstance(talk, list) or not talk:
        raise UnusableRecordError(
            Reason.RECORD_UNREADABLE, "it has neither 'conversations' nor an image with a 'caption'")
    turns = []
    for turn in talk:
        speaker = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
        words = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
        if speaker not in _SPEAKERS or not isinstance(words, str):
            raise UnusableRecordError(
                Reason.TURNS_UNUSABLE, "a turn must have 'from' (human, gpt, system) and 'value', words")
        turns.append((_SPEAKERS[speaker], words))
    return turns, "instruction"


def _check_turns(turns: list[tuple[str, str]]) -> None:
    speakers = [speaker for speaker, _ in turns[turns[0][0] == "system":]]
    if speakers != ["human", "gpt"] * (len(speakers) // 2) or not speakers:
        raise UnusableRecordError(
            Reason.TURNS_UNUSABLE, f"human and model do not take turns: {', '.join(speakers)[:100]}")
    if any(not words.strip() for speaker, words in turns if speaker == "gpt"):
        raise UnusableRecordError(Reason.TURNS_UNUSABLE, "an answer is empty")
