"""One sample in words, and its frames as one picture: a row for each piece of evidence, in the order of time."""

import io
import textwrap
from pathlib import Path
from typing import Any

import duckdb
from PIL import Image, ImageDraw, ImageFont

from pipeline.report.pictures import one_picture
from pipeline.report.report_rows import Pictured, open_report, question_rows

_FRAME = (320, 180)
_LINE, _MARGIN = 34, 12


class NoSuchSampleError(Exception):
    """No sample has this id, or several begin like this; the message says which."""


def write_sample_sheet(folder: str | Path, sample_id: str, picture: Path | None) -> tuple[str, Path | None]:
    """Tell of one sample.

    Args:
        folder: the data set, or its address.
        sample_id: the sample's id, or as much of its start as no other shares.
        picture: where to write its frames (default: sample-ID.png in the working folder).

    Returns:
        The sample in words, and where its frames are; None where the data set holds none.

    Raises:
        NoSuchSampleError: there is not exactly one.
    """
    with open_report(folder) as connection:
        found = question_rows(connection, "starts_with(sample_id, ?)", [sample_id], limit=2)
        if len(found) != 1:
            raise NoSuchSampleError(f"{'no sample' if not found else 'more than one sample'} has an id that begins "
                                    f"with {sample_id!r}; SELECT sample_id FROM samples; lists them")
        (sample,) = found
        sheet = _picture(connection, sample)
    if sheet is None:
        return in_words(sample), None
    path = picture or Path(f"sample-{sample['sample_id']}.png")
    sheet.save(path)
    return in_words(sample), path


def in_words(sample: dict[str, Any]) -> str:
    """A sample of `question_rows` as lines of text."""
    span = "" if sample["span_start_s"] is None else f", {_stretch(sample['span_start_s'], sample['span_end_s'])}"
    lines = [f"{sample['sample_id']}  {sample['kind']}  {sample['video_name'] or sample['dataset']}{span}", "",
             sample["question"]]
    for at, option in enumerate(sample["options"]):
        lines.append(f"  {'→' if at == sample['answer_index'] else ' '} ({chr(65 + at)}) {option}")
    if not sample["options"]:
        lines += ["", textwrap.indent(sample["answer"], "  → ")]
    lines += ["", "evidence"]
    for number, piece in enumerate(sample["evidence"], start=1):
        words = piece["text"] or f"clip {piece['clip_index']}"
        lines.append(f"  {number}. {_stretch(piece['from_s'], piece['to_s'])}  {words}")
    return "\n".join(lines)


def _picture(connection: duckdb.DuckDBPyConnection, sample: dict[str, Any]) -> Image.Image | None:
    pieces = [piece for piece in sample["evidence"] if piece["frames"]]
    if not pieces:
        return None
    columns, row = max(len(piece["frames"]) for piece in pieces), _FRAME[1] + _LINE + _MARGIN
    sheet = Image.new("RGB", (columns * (_FRAME[0] + _MARGIN) + _MARGIN, len(pieces) * row + _MARGIN), "#fbfaf6")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for at, piece in enumerate(pieces):
        top = _MARGIN + at * row
        # Numbers only: Pillow's own font knows no other script than ours, and a clue may be in any.
        words = f"{at + 1}.   {_clock(piece['from_s'])} - {_clock(piece['to_s'])}"
        draw.text((_MARGIN, top + 6), words, fill="#1c1a15", font=font)
        for place, frame in enumerate(piece["frames"]):
            jpeg = one_picture(connection, Pictured(sample["video"], "frame", frame["index"]))
            with Image.open(io.BytesIO(jpeg)) as stored:
                stored.thumbnail(_FRAME)
                sheet.paste(stored, (_MARGIN + place * (_FRAME[0] + _MARGIN), top + _LINE))
    return sheet


def _stretch(start_s: float, end_s: float) -> str:
    return f"{_clock(start_s)}–{_clock(end_s)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
