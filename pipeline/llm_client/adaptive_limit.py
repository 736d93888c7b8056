"""How many requests one server may have at a time."""

_HOLDS = 3.0
"""Latency holds while it is below so many times the best mean: a batching server slows a little as it fills."""
_FORGOTTEN = 1.0005
"""By so much the best is forgotten with each answer: a server may have other work for good."""


class AdaptiveLimit:
    """A limit that doubles each round until the first trouble or until latency rises, then grows by one a round.

    Trouble halves it, at most once a round. It grows only when it is made use of.
    """

    def __init__(self, most: int, first: int = 16) -> None:
        """Begin at `first`, and never go above `most`."""
        self._most = most
        self.value = float(min(first, most))
        self._doubling = True
        self._latency: dict[str, _Latency] = {}
        self._cut_at = float("-inf")

    def went_well(self, kind: str, seconds: float, in_flight: int) -> None:
        """A request was answered after `seconds`, when `in_flight` were on their way.

        Requests are compared with those of their kind: a chapter to be put in order takes longer than a clip, and
        says nothing about the server.
        """
        latency = self._latency.setdefault(kind, _Latency())
        latency.took(seconds)
        if not latency.holds:
            self._doubling = False
        elif in_flight + 1 >= int(self.value):
            self.value = min(self._most, self.value + (1.0 if self._doubling else 1.0 / self.value))

    def went_wrong(self, sent_at: float, now: float) -> None:
        """A request sent at `sent_at` met trouble."""
        if sent_at < self._cut_at:
            return  # sent before the last cut: the same trouble
        self._doubling = False
        self.value = max(1.0, self.value / 2)
        self._cut_at = now


class _Latency:
    """How long requests of one kind take: a sliding mean, and the best that it has been."""

    def __init__(self) -> None:
        self._mean_s = self._best_s = 0.0

    def took(self, seconds: float) -> None:
        self._mean_s = seconds if not self._mean_s else 0.9 * self._mean_s + 0.1 * seconds
        self._best_s = self._mean_s if not self._best_s else min(self._best_s * _FORGOTTEN, self._mean_s)

    @property
    def holds(self) -> bool:
        return self._mean_s <= _HOLDS * self._best_s
