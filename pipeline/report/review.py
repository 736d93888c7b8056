"""A review: questions drawn at random, and the votes that people give them."""

import hashlib
import threading
from pathlib import Path
from typing import Any

import duckdb

from pipeline.data_card import rewrite_card
from pipeline.review_votes import VOTES, figures_of, read_votes, review_sentence, write_votes


class WrongVoteError(Exception):
    """The vote is for no question of this review, or is no vote."""


class Review:
    """The votes of one review, kept on the disk after each.

    Args:
        connection: from `open_report`.
        folder: the data set.
        count: how many questions to draw; fewer where there are fewer.
        seed: the same seed draws the same questions. Each is drawn by a hash of seed and id, so that a question
            added to the data set pushes at most one other out.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path, count: int, seed: int) -> None:
        ids = [row[0] for row in connection.execute("SELECT sample_id FROM questions").fetchall()]
        self.ids = sorted(ids, key=lambda sample_id: hashlib.sha256(f"{seed}:{sample_id}".encode()).digest())[:count]
        self._folder, self._seed = folder, seed
        self._lock = threading.Lock()

    def state(self) -> dict[str, Any]:
        """The questions, the votes so far, and what follows from them."""
        votes = {key: row["vote"] for key, row in read_votes(self._folder).items() if key in set(self.ids)}
        figures = figures_of(list(votes.values()))
        return {"ids": self.ids, "votes": votes, "figures": figures,
                "sentence": review_sentence(figures) if figures else "Nothing was judged."}

    def cast(self, sample_id: str, vote: str) -> dict[str, Any]:
        """Keep a vote, in place of an earlier one for the same question.

        Raises:
            WrongVoteError: there is no such question here, or no such vote.
        """
        if sample_id not in self.ids or vote not in VOTES:
            raise WrongVoteError(f"{vote!r} for {sample_id!r} is no vote of this review")
        with self._lock:
            votes = read_votes(self._folder)
            votes[sample_id] = {"sample_id": sample_id, "vote": vote, "seed": self._seed}
            write_votes(self._folder, votes)
        return self.state()

    def finish(self) -> str:
        """Have the card quote the votes; what they say, in a sentence."""
        state = self.state()
        if state["votes"]:
            rewrite_card(self._folder)
        return state["sentence"]
