"""The pictures of the page: thumbnails of clips, and the frames that evidence shows, made smaller."""

import io
from collections.abc import Iterable, Iterator, Sequence

import duckdb
from PIL import Image

from pipeline.report.report_rows import Pictured

_SHORTER_SIDE = 240
_JPEG_QUALITY = 82
_ROWS_AT_A_TIME = 64
_THUMBNAILS = "FROM clips JOIN shown USING (video_id) WHERE thumbnail.bytes IS NOT NULL"


def count_thumbnails(connection: duckdb.DuckDBPyConnection) -> int:
    """How many `thumbnails` gives."""
    return connection.execute(f"SELECT count(*) {_THUMBNAILS}").fetchone()[0]


def thumbnails(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Pictured, bytes]]:
    """The thumbnail of every clip of the videos shown, as JPEG."""
    found = connection.cursor().execute(f"SELECT number, clip_index, thumbnail.bytes {_THUMBNAILS}")
    while rows := found.fetchmany(_ROWS_AT_A_TIME):
        for number, index, jpeg in rows:
            yield Pictured(number, "clip", index), jpeg


def frames(connection: duckdb.DuckDBPyConnection, wanted: Iterable[Pictured]) -> Iterator[tuple[Pictured, bytes]]:
    """The stored frames asked for, in one reading of the table, small, as JPEG."""
    places = sorted((picture.video, picture.index) for picture in wanted)
    found = connection.cursor().execute("""
        WITH wanted AS (SELECT unnest(?) AS number, unnest(?) AS frame_index)
        SELECT number, frame_index, image.bytes
        FROM frames JOIN shown USING (video_id) JOIN wanted USING (number, frame_index)""",
        [[number for number, _ in places], [index for _, index in places]])
    while rows := found.fetchmany(_ROWS_AT_A_TIME):
        for number, index, stored in rows:
            yield Pictured(number, "frame", index), small_jpeg(stored)


def one_picture(connection: duckdb.DuckDBPyConnection, picture: Pictured) -> bytes | None:
    """One picture as JPEG; None where there is none."""
    sql = {
        "clip": "SELECT thumbnail.bytes FROM clips JOIN shown USING (video_id) WHERE number = ? AND clip_index = ?",
        "frame": "SELECT image.bytes FROM frames JOIN shown USING (video_id) WHERE number = ? AND frame_index = ?",
    }[picture.kind]
    row = connection.execute(sql, [picture.video, picture.index]).fetchone()
    if row is None or row[0] is None:
        return None
    return row[0] if picture.kind == "clip" else small_jpeg(row[0])


def small_jpeg(stored: bytes) -> bytes:
    """A stored picture with a shorter side of 240 pixels at most."""
    with Image.open(io.BytesIO(stored)) as picture:
        scale = _SHORTER_SIDE / min(picture.size)
        if scale >= 1 and picture.format == "JPEG":
            return stored
        size = [max(1, round(side * min(1.0, scale))) for side in picture.size]
        small = io.BytesIO()
        picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2).save(
            small, "JPEG", quality=_JPEG_QUALITY)
    return small.getvalue()


def frames_wanted(questions: Sequence[dict]) -> set[Pictured]:
    """The frames that the evidence of these questions shows."""
    return {Pictured(row["video"], "frame", frame["index"])
            for row in questions for piece in row["evidence"] for frame in piece["frames"]}
