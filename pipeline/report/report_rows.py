"""The rows that the page shows, read from the shards with DuckDB.

Videos go by their number, the place of their id among all ids: files and addresses of the page are made of numbers
only, never of what a stranger wrote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.open_data_set import open_data_set
from pipeline.report.facets import FACETS

Row = dict[str, Any]

FRAMES_OF_EVIDENCE = 3
_VIDEOS_SHOWN = """
    video_id, media, source, title, domain, language, license, uploader, CAST(published AS VARCHAR) AS published,
    duration_s, width, height, fps, variable_frame_rate, container, codec, n_clips, n_frames, n_samples, split,
    calibration"""


@dataclass(frozen=True, slots=True)
class Pictured:
    """A picture that the page shows: the thumbnail of a clip (`kind` clip) or a stored frame (`kind` frame)."""

    video: int
    kind: str
    index: int

    @property
    def path(self) -> str:
        """Where the page looks for it, relative to itself."""
        return f"pictures/{self.video:06d}/{self.kind}-{self.index:06d}.jpg"


def open_report(folder: str | Path, most_samples: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection with the data set's views and two more: `shown` (number, video_id) and `questions`.

    Args:
        folder: a finished data set; see `open_data_set`.
        most_samples: so many questions at most; whole videos are taken in the order of their ids, which is random.
            The first video is always taken.
    """
    connection = open_data_set(folder)
    connection.execute("""
        CREATE TABLE shown AS
        WITH ordered AS (
            SELECT video_id, row_number() OVER (ORDER BY video_id) - 1 AS number,
                   sum(n_samples) OVER (ORDER BY video_id) AS samples FROM videos)
        SELECT number, video_id FROM ordered WHERE number = 0 OR $most IS NULL OR samples <= $most
        ORDER BY number""", {"most": most_samples})
    connection.execute("""
        CREATE VIEW questions AS
        SELECT samples.*, shown.number AS video, videos.domain, coalesce(videos.title, videos.source) AS video_name
        FROM samples LEFT JOIN shown USING (video_id) LEFT JOIN videos USING (video_id)
        WHERE shown.number IS NOT NULL OR samples.video_id IS NULL""")
    return connection


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any = None) -> list[Row]:
    """The rows of a query by column."""
    result = connection.execute(sql, parameters)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def video_rows(connection: duckdb.DuckDBPyConnection, first: int, count: int) -> list[Row]:
    """What the list of videos shows, by number; `clip` is one in the middle that has a picture."""
    return rows_of(connection, f"""
        SELECT number, {_VIDEOS_SHOWN}, clip FROM videos JOIN shown USING (video_id) LEFT JOIN (
            SELECT video_id, quantile_disc(clip_index, 0.5) AS clip FROM clips
            WHERE thumbnail.bytes IS NOT NULL GROUP BY video_id) USING (video_id)
        WHERE number >= ? AND number < ? ORDER BY number""", [first, first + count])


def question_rows(
    connection: duckdb.DuckDBPyConnection, where: str = "true", parameters: Sequence[Any] = (),
    limit: int | None = None, offset: int = 0,
) -> list[Row]:
    """Questions as the page shows them, in the order of their ids: evidence with its words and frames.

    Args:
        connection: from `open_report`.
        where: a condition over `questions`, its values as `?`.
        parameters: the values.
        limit: at most so many.
        offset: leave out so many before.
    """
    facets = ", ".join(f"'{name}': {sql}" for name, sql in FACETS.items())
    rows = rows_of(connection, f"""
        SELECT sample_id, dataset, video_id, video, split, kind, format, question, options, answer, answer_index,
               span_start_s, span_end_s, min_frames, evidence, distance_s, language, twin_of, checks, captioner,
               orderer, calibration, video_name, {{{facets}}} AS facets
        FROM questions WHERE {where} ORDER BY sample_id LIMIT ? OFFSET ?""", [*parameters, limit, offset])
    _complete_evidence(connection, rows)
    return rows


def video_sheet(connection: duckdb.DuckDBPyConnection, number: int) -> Row | None:
    """All that the page says of one video; None where there is no such video."""
    found = rows_of(connection, f"""
        SELECT number, {_VIDEOS_SHOWN}, cuts_s, chapters FROM videos JOIN shown USING (video_id)
        WHERE number = ?""", [number])
    if not found:
        return None
    video_id = [found[0]["video_id"]]
    return found[0] | {
        "clips": rows_of(connection, """
            SELECT clip_index, start_s, end_s, caption, setting, subjects, actions, on_screen_text, key_events,
                   subtitles, measures, captioner, model, thumbnail.bytes IS NOT NULL AS pictured
            FROM clips WHERE video_id = ? ORDER BY clip_index""", video_id),
        "clues": rows_of(connection, """
            SELECT clue_id, start_s, end_s, text, kind, orderer, kept, reason, similarity
            FROM clues WHERE video_id = ? ORDER BY start_s, end_s, clue_id""", video_id),
        "questions": rows_of(connection, """
            SELECT sample_id, kind, question, span_start_s, span_end_s,
                   [{'start_s': e.start_s, 'end_s': e.end_s, 'clip_index': e.clip_index} FOR e IN evidence] AS evidence
            FROM samples WHERE video_id = ? ORDER BY kind, span_start_s, sample_id""", video_id),
        "rejected": rows_of(connection, """
            SELECT stage, reason, detail, clip_index FROM rejected WHERE video_id = ?
            ORDER BY clip_index, stage, reason LIMIT 1000""", video_id),
    }


def _complete_evidence(connection: duckdb.DuckDBPyConnection, rows: Sequence[Row]) -> None:
    """Give each piece of evidence the clue's words and own times, and frames from its stretch, in order."""
    wanted = sorted({piece["clue_id"] for row in rows for piece in row["evidence"] if piece["clue_id"]})
    clues = {row["clue_id"]: row for row in rows_of(
        connection, "SELECT clue_id, start_s, end_s, text FROM clues WHERE clue_id IN (SELECT unnest(?))", [wanted])}
    for row in rows:
        for piece in row["evidence"]:
            clue = clues.get(piece.pop("clue_id"))
            piece["text"] = clue and clue["text"]
            piece["from_s"], piece["to_s"] = (
                (clue["start_s"], clue["end_s"]) if clue else (piece["start_s"], piece["end_s"]))
    stretches = {(row["video_id"], piece["from_s"], piece["to_s"]) for row in rows for piece in row["evidence"]}
    frames = _frames_of_stretches(connection, sorted(stretches))
    for row in rows:
        for piece in row["evidence"]:
            piece["frames"] = frames.get((row["video_id"], piece["from_s"], piece["to_s"]), [])


def _frames_of_stretches(
    connection: duckdb.DuckDBPyConnection, stretches: Sequence[tuple[str, float, float]]
) -> dict[tuple[str, float, float], list[Row]]:
    """First, middle and last stored frame of each stretch that still has its picture."""
    found = rows_of(connection, """
        WITH wanted AS (SELECT unnest(?) AS video_id, unnest(?) AS from_s, unnest(?) AS to_s),
             there AS (SELECT video_id, frame_index, t_s FROM frames
                       WHERE image.bytes IS NOT NULL AND video_id IN (SELECT video_id FROM wanted))
        SELECT video_id, from_s, to_s, list({'index': frame_index, 't_s': t_s} ORDER BY frame_index) AS frames
        FROM wanted JOIN there USING (video_id) WHERE t_s >= from_s AND t_s < to_s GROUP BY ALL""",
        [[video for video, _, _ in stretches], [start for _, start, _ in stretches],
         [end for _, _, end in stretches]]) if stretches else []
    return {(row["video_id"], row["from_s"], row["to_s"]): _spread(row["frames"]) for row in found}


def _spread(frames: list[Row]) -> list[Row]:
    count = min(FRAMES_OF_EVIDENCE, len(frames))
    return [frames[round(at * (len(frames) - 1) / max(1, count - 1))] for at in range(count)]
