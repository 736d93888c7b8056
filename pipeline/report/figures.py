"""The figures of the page's first sheet: totals, yield and what the charts show.

All are counted in the shards, the data set whole; what served models took comes from the manifest.
"""

import json
from pathlib import Path
from typing import Any

import duckdb

from pipeline.report.report_rows import rows_of
from schemas.reasons import SENTENCES, Reason

Figures = dict[str, Any]

_DISTANCES_S = (0, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_BARS = 12


def report_figures(connection: duckdb.DuckDBPyConnection, folder: Path) -> Figures:
    """Everything that the first sheet shows.

    Args:
        connection: from `open_report`.
        folder: the data set, for its manifest.
    """
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    served = manifest.get("served", {})
    return {
        "totals": {"hours": manifest["hours"], **manifest["rows"]},
        "made_by": {name: manifest["config"].get(name) for name in (
            "captioner", "caption_model", "orderer", "order_model", "clip_seconds")},
        "yield": _yield(connection),
        "kinds": _counts(connection, "SELECT kind, count(*) FROM samples GROUP BY ALL ORDER BY count(*) DESC, kind"),
        "clips_per_video": _clips_per_video(connection),
        "distances": _distances(connection),
        "letters": _letters(connection),
        "blind": _blind(connection),
        "clock": _clock(connection, served),
        "rejected": _rejected(connection),
        "usage": served.get("usage", []),
        "cost": served.get("cost", 0.0),
    }


def _yield(connection: duckdb.DuckDBPyConnection) -> list[Figures]:
    """What there was and what was kept of it, from sources to questions."""
    steps = {
        "sources": """SELECT (SELECT count(DISTINCT source) FROM videos),
            (SELECT count(DISTINCT source) FROM rejected WHERE clip_index IS NULL AND item_id IS NULL
             AND source NOT IN (SELECT source FROM videos))""",
        "clips": """SELECT (SELECT count(*) FROM clips),
            (SELECT count(DISTINCT (video_id, clip_index)) FROM rejected r WHERE clip_index IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM clips c WHERE (c.video_id, c.clip_index) = (r.video_id, r.clip_index)))""",
        "clues": "SELECT count(*) FILTER (kept), count(*) FILTER (NOT kept) FROM clues",
        "questions": """SELECT (SELECT count(*) FROM samples),
            (SELECT count(*) FROM rejected WHERE stage = 'questions' AND item_id IS NOT NULL)""",
    }
    found = {step: connection.execute(sql).fetchone() for step, sql in steps.items()}
    return [{"step": step, "kept": kept, "left_out": left_out} for step, (kept, left_out) in found.items()]


def _counts(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Figures]:
    return [{"label": label, "count": count} for label, count in connection.execute(sql).fetchall()]


def _clips_per_video(connection: duckdb.DuckDBPyConnection) -> list[Figures]:
    """Videos by number of clips, in steps of a round width that make at most a dozen bars."""
    (most,) = connection.execute("SELECT coalesce(max(n_clips), 0) FROM videos").fetchone()
    rounds = (factor * 10**power for power in range(9) for factor in (1, 2, 5))
    width = next(step for step in rounds if most // step < _MOST_BARS)
    counts = dict(connection.execute("SELECT n_clips // ?, count(*) FROM videos GROUP BY ALL", [width]).fetchall())
    first = min(counts, default=0)
    return [{"label": str(at) if width == 1 else f"{at * width}–{(at + 1) * width - 1}", "count": counts.get(at, 0)}
            for at in range(first, most // width + 1)]


def _distances(connection: duckdb.DuckDBPyConnection) -> list[Figures]:
    """Questions by the seconds between their first and last evidence."""
    bars = []
    for low, high in zip(_DISTANCES_S, (*_DISTANCES_S[1:], None), strict=True):
        (count,) = connection.execute(
            "SELECT count(*) FROM samples WHERE distance_s >= ? AND (? IS NULL OR distance_s < ?)",
            [low, high, high]).fetchone()
        label = f"{_short(low)}–{_short(high)}" if high else f"over {_short(low)}"
        bars.append({"label": label, "count": count})
    while bars and not bars[-1]["count"]:
        bars.pop()
    return bars


def _short(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"


def _letters(connection: duckdb.DuckDBPyConnection) -> list[Figures]:
    """How often each letter is right, and how often it would be if letters were drawn."""
    rows = connection.execute("""
        WITH asked AS (SELECT answer_index, len(options) AS options FROM samples WHERE answer_index IS NOT NULL),
             letters AS (SELECT unnest(range(0, (SELECT coalesce(max(options), 0) FROM asked))) AS letter)
        SELECT letter, count(*) FILTER (answer_index = letter), sum(1 / options) FILTER (letter < options)
        FROM letters, asked GROUP BY letter ORDER BY letter""").fetchall()
    return [{"label": chr(65 + letter), "count": count, "expected": expected or 0.0}
            for letter, count, expected in rows]


def _blind(connection: duckdb.DuckDBPyConnection) -> list[Figures]:
    """By kind: right answers of a model that did not see the video, and what guessing gives."""
    return rows_of(connection, """
        SELECT kind AS label, sum(checks.blind_right) / sum(checks.blind_asked) AS share,
               sum(checks.blind_asked / len(options)) / sum(checks.blind_asked) AS chance,
               CAST(sum(checks.blind_asked) AS BIGINT) AS asked
        FROM samples WHERE checks.blind_asked > 0 AND len(options) > 0 GROUP BY kind ORDER BY kind""")


def _clock(connection: duckdb.DuckDBPyConnection, served: Figures) -> list[Figures]:
    """Whose order was held against the clock, and how much of it agreed."""
    agreed, disagreed = connection.execute(
        """SELECT (SELECT count(*) FROM samples WHERE checks.clock),
                  (SELECT count(*) FROM rejected WHERE reason = ?)""", [Reason.DISAGREES_WITH_CLOCK]).fetchone()
    rows = [{"label": "recomputed answers", "agreed": agreed, "of": agreed + disagreed}]
    rows += [{"label": row["model"], "agreed": row["given"] - row["against_clock"],
              "of": row["given"]} for row in served.get("order", [])]
    return [row for row in rows if row["of"]]


def _rejected(connection: duckdb.DuckDBPyConnection) -> list[Figures]:
    """How often each reason was given, with what it means."""
    known = {reason.value: sentence for reason, sentence in SENTENCES.items()}
    rows = rows_of(connection, """
        SELECT stage, reason AS label, count(*) AS count FROM rejected GROUP BY ALL
        ORDER BY count DESC, stage, reason""")
    return [row | {"meaning": known.get(row["label"], "")} for row in rows]
