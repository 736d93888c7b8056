"""What the page is given, as scripts that hand it JSON: a page opened from disk may load scripts, but no data."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from pipeline.report.facets import facet_counts
from pipeline.report.figures import report_figures
from pipeline.report.report_rows import question_rows, video_rows, video_sheet
from pipeline.review_votes import review_figures

QUESTIONS_A_CHUNK = 400
VIDEOS_A_CHUNK = 500
_PICTURES_AT_THE_TOP = 12


def summary(connection: duckdb.DuckDBPyConnection, folder: Path, name: str, **mode: Any) -> dict[str, Any]:
    """What the page needs before anything else.

    Args:
        connection: from `open_report`.
        folder: the data set.
        name: what the page calls it.
        mode: `version` of the data set; `served` and `review`, where the page talks to a server.
    """
    (questions,) = connection.execute("SELECT count(*) FROM questions").fetchone()
    (videos,) = connection.execute("SELECT count(*) FROM shown").fetchone()
    return {
        "name": name, "served": False, "review": None, "version": None, **mode,
        "questions_shown": questions, "questions_a_chunk": QUESTIONS_A_CHUNK,
        "videos_shown": videos, "videos_a_chunk": VIDEOS_A_CHUNK,
        "facets": facet_counts(connection),
        "figures": report_figures(connection, folder),
        "reviewed": review_figures(folder),
        "strip": _strip(connection),
    }


def summary_script(said: dict[str, Any]) -> str:
    """`data/summary.js`."""
    return _script("summary", said)


def questions_script(connection: duckdb.DuckDBPyConnection, chunk: int) -> tuple[str, list[dict[str, Any]]]:
    """`data/questions-NNNNN.js`, and the rows in it."""
    rows = question_rows(connection, limit=QUESTIONS_A_CHUNK, offset=chunk * QUESTIONS_A_CHUNK)
    return _script(f"questions-{chunk}", rows), rows


def videos_script(connection: duckdb.DuckDBPyConnection, chunk: int) -> str:
    """`data/videos-NNNNN.js`."""
    return _script(f"videos-{chunk}", video_rows(connection, chunk * VIDEOS_A_CHUNK, VIDEOS_A_CHUNK))


def video_script(connection: duckdb.DuckDBPyConnection, number: int) -> str | None:
    """`data/video-NNNNNN.js`; None where there is no such video."""
    sheet = video_sheet(connection, number)
    return None if sheet is None else _script(f"video-{number}", sheet)


def _strip(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """A dozen clips from all over the data set, for the top of the page."""
    rows = connection.execute("""
        WITH pictured AS (
            SELECT number, clip_index, start_s, caption, row_number() OVER (ORDER BY number, clip_index) - 1 AS place,
                   count(*) OVER () AS clips
            FROM clips JOIN shown USING (video_id) WHERE thumbnail.bytes IS NOT NULL)
        SELECT number, clip_index, start_s, caption FROM pictured
        WHERE place * $n // clips <> (place - 1) * $n // clips OR place = 0 ORDER BY place""",
        {"n": _PICTURES_AT_THE_TOP}).fetchall()
    return [dict(zip(("video", "clip_index", "start_s", "caption"), row, strict=True)) for row in rows]


def as_json(value: Any) -> str:
    """JSON in ASCII, so that no letter of a stranger can end a line or a script."""
    return json.dumps(value, default=_plain, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value)} in the page's data")


def _script(name: str, value: Any) -> str:
    return f"vico.receive({json.dumps(name)}, {as_json(value)});\n"
