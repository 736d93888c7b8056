"""What questions can be filtered by, as SQL over the view `questions` that `report_rows` defines."""

from typing import Any

import duckdb

_MINUTES = (1, 3, 10, 30, 60)


def _stretch(seconds: str) -> str:
    """A length in seconds by the stretch it falls in: `up to 3 min`."""
    steps = " ".join(f"WHEN {seconds} <= {minutes * 60} THEN 'up to {minutes} min'" for minutes in _MINUTES)
    return f"CASE WHEN {seconds} IS NULL THEN 'none' {steps} ELSE 'over {_MINUTES[-1]} min' END"


FACETS: dict[str, str] = {
    "kind": "kind",
    "span": _stretch("span_end_s - span_start_s"),
    "distance": _stretch("distance_s"),
    "domain": "coalesce(domain, 'not said')",
    "split": "split",
    "captioner": "captioner",
    "dataset": "dataset",
    "language": "language",
}
"""Name of a filter and the SQL of its value."""

SEARCHED = "concat_ws(chr(10), sample_id, question, array_to_string(options, chr(10)), answer, video_name)"
"""What words are searched in; the page searches the same in what it has loaded."""

_IN_ORDER_OF_LENGTH = ["none", *(f"up to {minutes} min" for minutes in _MINUTES), f"over {_MINUTES[-1]} min"]


def facet_counts(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Every filter with its values and how many questions have each, lengths by length, others by number."""
    facets = []
    for name, sql in FACETS.items():
        counts = connection.execute(
            f"SELECT {sql} AS value, count(*) AS n FROM questions GROUP BY value ORDER BY n DESC, value").fetchall()
        if {value for value, _ in counts} <= set(_IN_ORDER_OF_LENGTH):
            counts.sort(key=lambda row: _IN_ORDER_OF_LENGTH.index(row[0]))
        facets.append({"name": name, "values": [{"value": value, "count": n} for value, n in counts]})
    return facets
