"""The captioner that takes words which exist already, from JSONL or Parquet files.

A row has `video` (its id, its source as the output names it, or its file name), `start_s`, `end_s`, `text`,
and optionally `kind`: caption (the default), event (something with times of its own, which becomes a key
event and a clue), action (what somebody does, asked about in questions about the order of actions), setting (where it
is) or subtitle.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import pyarrow.parquet as pq
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import from_json

from pipeline.captioner import DecodedVideo
from pipeline.sentences import split_sentences
from schemas.reasons import Reason, Stage
from schemas.records import Caption, Clip, KeyEvent, Rejection, Subtitle, Video

_BELONGS_S = 2.0
"""A row belongs to a clip when so much of it, or half of it, lies in the clip."""


class CaptionFileError(Exception):
    """A caption file that cannot be used, with the file, the line and what is wrong."""


class CaptionRow(BaseModel):
    """A line of a caption file."""

    video: Annotated[str, Field(min_length=1)]
    start_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    end_s: Annotated[float, Field(allow_inf_nan=False)]
    text: str
    kind: Literal["caption", "event", "action", "setting", "subtitle"] = "caption"

    @model_validator(mode="after")
    def _ends_after_start(self) -> "CaptionRow":
        if self.end_s <= self.start_s:
            raise ValueError(f"end_s ({self.end_s:g}) is not after start_s ({self.start_s:g})")
        return self


class FileCaptioner:
    """Hands out the rows of caption files, clip by clip."""

    name = "file"

    def __init__(self, paths: Iterable[str]) -> None:
        """Read the files.

        Raises:
            CaptionFileError: a file is missing, or a row of it is not as described.
        """
        self._rows: dict[str, list[CaptionRow]] = defaultdict(list)
        for path in paths:
            for row in _read(Path(path)):
                self._rows[row.video].append(row)

    def depends_on(self, decoded: DecodedVideo) -> Any:
        """The rows about this video: a change elsewhere in the files asks for nothing again."""
        return [row.model_dump() for row in self._rows_of(decoded.video)]

    def caption(self, decoded: DecodedVideo) -> tuple[list[Caption], list[Rejection]]:
        """Rows sorted into the clips they lie in."""
        rows = [row for row in self._rows_of(decoded.video) if row.text.strip()]
        captions, rejected = [], []
        for clip in decoded.clips:
            mine = [row for row in rows if _belongs(row, clip)]
            caption = _caption(clip, mine)
            if caption:
                captions.append(caption)
            else:
                rejected.append(_rejection(
                    decoded.video, Reason.NO_CAPTION, f"no given caption or event lies in {clip.start_s:g} to "
                                                      f"{clip.end_s:g} s", clip.clip_index))
        rejected.extend(
            _rejection(decoded.video, Reason.CAPTION_OUTSIDE_CLIPS,
                       f"{row.start_s:g} to {row.end_s:g} s: {row.text}", None)
            for row in rows if not any(_belongs(row, clip) for clip in decoded.clips))
        return captions, rejected

    def subtitles(self, video: Video, start_s: float, end_s: float) -> list[Subtitle]:
        """The subtitles among the rows that touch a stretch of a video, by time."""
        return [_subtitle(row) for row in self._rows_of(video)
                if row.kind == "subtitle" and row.text.strip() and row.start_s < end_s and row.end_s > start_s]

    def _rows_of(self, video: Video) -> list[CaptionRow]:
        names = dict.fromkeys([video.video_id, video.source, PurePosixPath(video.source).name])
        rows = [row for name in names for row in self._rows.get(name, [])]
        return sorted(rows, key=lambda row: (row.start_s, row.end_s, row.kind, row.text))


def _caption(clip: Clip, rows: list[CaptionRow]) -> Caption | None:
    said = [row.text.strip() for row in rows if row.kind == "caption"]
    events = [row for row in rows if row.kind == "event"]
    if not said and not events:
        return None
    text = " ".join([*said, *(row.text.strip() for row in events)])
    return Caption(
        clip_index=clip.clip_index, caption=text, sentences=split_sentences(text), captioner=FileCaptioner.name,
        setting=_setting(rows), actions=[row.text.strip() for row in rows if row.kind == "action"],
        key_events=[KeyEvent(start_s=row.start_s, end_s=row.end_s, text=row.text.strip()) for row in events],
        subtitles=[_subtitle(row) for row in rows if row.kind == "subtitle"])


def _setting(rows: list[CaptionRow]) -> str | None:
    """Where a clip is; not said where several places are named."""
    places = {" ".join(row.text.split()) for row in rows if row.kind == "setting"}
    return places.pop() if len(places) == 1 else None


def _subtitle(row: CaptionRow) -> Subtitle:
    return Subtitle(start_s=row.start_s, end_s=row.end_s, text=row.text.strip())


def _belongs(row: CaptionRow, clip: Clip) -> bool:
    inside = min(row.end_s, clip.end_s) - max(row.start_s, clip.start_s)
    return inside >= min(_BELONGS_S, (row.end_s - row.start_s) / 2)


def _rejection(video: Video, reason: Reason, detail: str, clip_index: int | None) -> Rejection:
    return Rejection(
        stage=Stage.CAPTIONS, reason=reason, detail=detail, video_id=video.video_id, clip_index=clip_index)


def _read(path: Path) -> Iterator[CaptionRow]:
    try:
        for number, values in _read_parquet(path) if path.suffix == ".parquet" else _read_lines(path):
            yield _row(number, values)
    except (OSError, ValueError) as error:
        raise CaptionFileError(f"{path}: {error}") from error


def _row(number: int, values: Any) -> CaptionRow:
    try:
        return CaptionRow.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"])) or "row"
        raise ValueError(f"row {number}: {field}: {fault['msg']}") from error


def _read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    row = from_json(line)  # unlike json.loads it refuses half characters, which no table can hold
                except ValueError as error:
                    raise ValueError(f"row {number} is not JSON: {error}") from error
                yield number, row


def _read_parquet(path: Path) -> Iterator[tuple[int, Any]]:
    wanted = [name for name in CaptionRow.model_fields if name in pq.read_schema(path).names]
    for number, values in enumerate(pq.read_table(path, columns=wanted).to_pylist(), start=1):
        yield number, {name: value for name, value in values.items() if value is not None}


def describe_files(paths: Iterable[str]) -> list[dict[str, str]]:
    """Caption files as a manifest names them: by file name and content, not by where they lay."""
    return [
        {"name": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()} for path in paths]
