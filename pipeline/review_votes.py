"""What people said of questions they looked at: DIR/review/votes.parquet, and the accuracy that follows.

Votes stay when the data set is built anew: ids of questions come from their content, so a vote holds for as long as
the question it was given for exists.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

Vote = Literal["right", "wrong", "unclear"]
VOTES: tuple[Vote, ...] = ("right", "wrong", "unclear")

_SCHEMA = pa.schema([
    pa.field("sample_id", pa.string(), nullable=False, metadata={"comment": "the question that was looked at"}),
    pa.field("vote", pa.string(), nullable=False, metadata={"comment": "right, wrong or unclear"}),
    pa.field("seed", pa.int64(), nullable=False, metadata={"comment": "seed of the random sample it was drawn with"}),
])
_Z_95 = 1.959963984540054


def votes_file(folder: Path) -> Path:
    """Where the votes about a data set lie."""
    return folder / "review" / "votes.parquet"


def read_votes(folder: Path) -> dict[str, dict[str, Any]]:
    """The votes about a data set by sample id; empty where nobody has looked yet."""
    path = votes_file(folder)
    rows = pq.read_table(path, schema=_SCHEMA).to_pylist() if path.exists() else []
    return {row["sample_id"]: row for row in rows}


def write_votes(folder: Path, votes: dict[str, dict[str, Any]]) -> None:
    """Replace the votes about a data set, all at once."""
    path = votes_file(folder)
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(pa.Table.from_pylist([votes[key] for key in sorted(votes)], schema=_SCHEMA), unfinished)
    unfinished.replace(path)


def review_figures(folder: Path, data: Path | None = None) -> dict[str, Any] | None:
    """Accuracy by the votes for questions that the data set holds now; None without any.

    Args:
        folder: the data set.
        data: its folder of tables, where another one is about to take that place.

    `accuracy` is right / (right + wrong), its interval Wilson's at 95 %; both None where all are unclear.
    """
    votes = read_votes(folder)
    if not votes:
        return None
    there = {value for path in sorted(((data or folder / "data") / "samples").glob("*.parquet"))
             for value in pq.read_table(path, columns=["sample_id"])["sample_id"].to_pylist()}
    return figures_of([row["vote"] for key, row in votes.items() if key in there])


def figures_of(votes: Sequence[Vote]) -> dict[str, Any] | None:
    """The same of a list of votes."""
    counts = {vote: votes.count(vote) for vote in VOTES}
    judged = counts["right"] + counts["wrong"]
    if not votes:
        return None
    low, high = wilson_interval(counts["right"], judged) if judged else (None, None)
    return {**counts, "accuracy": counts["right"] / judged if judged else None, "low": low, "high": high}


def wilson_interval(right: int, judged: int) -> tuple[float, float]:
    """The 95 % interval of a share: E. B. Wilson, Probable Inference, JASA 22 (1927), 209-212."""
    share, z2 = right / judged, _Z_95 * _Z_95
    centre = (share + z2 / (2 * judged)) / (1 + z2 / judged)
    half = _Z_95 / (1 + z2 / judged) * math.sqrt(share * (1 - share) / judged + z2 / (4 * judged * judged))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # rounding can pass an end


def review_sentence(figures: dict[str, Any]) -> str:
    """The figures in words."""
    looked = figures["right"] + figures["wrong"] + figures["unclear"]
    counts = f"{figures['right']} right, {figures['wrong']} wrong, {figures['unclear']} unclear"
    if figures["accuracy"] is None:
        return f"Of {looked} questions that people looked at: {counts}."
    return (f"Of {looked} questions drawn at random that people looked at: {counts}. Of those judged, "
            f"{figures['accuracy']:.1%} are right (95 % interval {figures['low']:.1%} to {figures['high']:.1%}).")
