"""The figures of a data set's card, computed from its shards.

Copies with planted needles, and videos that show what another one shows, are left out of all of them.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from pipeline.shard_reading import read_rows
from schemas.reasons import Reason

UNKNOWN = "unknown"

_SPANS = ((180, "up to 3 minutes"), (600, "up to 10 minutes"), (1800, "up to 30 minutes"), (math.inf, "longer"))
_DISTANCES = ((60, "up to a minute"), (600, "up to 10 minutes"), (3600, "up to an hour"), (math.inf, "longer"))
_ONE_MOMENT = "one moment"
_FEATURES = ("domain", "language", "license")


def card_figures(data: Path) -> dict[str, Any]:
    """All figures, as values JSON can hold.

    Args:
        data: the folder of tables.
    """
    duplicates = {row["video_id"] for row in read_rows(data, "duplicates", ("video_id",))}
    videos: dict[str, dict[str, Any]] = {}
    planted = 0
    for row in read_rows(data, "videos", ("video_id", "duration_s", "calibration", *_FEATURES)):
        planted += row["calibration"]
        if not row["calibration"] and row["video_id"] not in duplicates:
            videos[row["video_id"]] = row
    samples = _Samples(videos)
    for row in read_rows(data, "samples", (
            "video_id", "kind", "format", "options", "answer_index", "span_start_s", "span_end_s", "distance_s",
            "twin_of", "checks")):
        if row["video_id"] in videos:
            samples.add(row)
    hours = math.fsum(video["duration_s"] for video in videos.values()) / 3600
    clues = _clues(data, videos)
    return {
        "videos": len(videos), "hours": round(hours, 6), "duplicates": len(duplicates), "planted_copies": planted,
        "sources": {feature: _sources(videos.values(), feature) for feature in _FEATURES},
        "samples": samples.figures(),
        "clues": clues,
        "yield_per_hour": {
            "samples": round(samples.count / hours, 3) if hours else None,
            "clues": round(clues["kept"] / hours, 3) if hours else None},
    }


class _Samples:
    """Counts samples one after another."""

    def __init__(self, videos: Mapping[str, Mapping[str, Any]]) -> None:
        self.count = 0
        self._videos = videos
        self._by: dict[str, Counter[str]] = defaultdict(Counter)
        self._blind: dict[str, Counter[str]] = defaultdict(Counter)
        self._chance: dict[str, list[float]] = defaultdict(list)

    def add(self, row: Mapping[str, Any]) -> None:
        self.count += 1
        video = self._videos[row["video_id"]]
        for what, value in (
                ("kind", row["kind"]), ("format", row["format"]),
                ("span", _first_above(_SPANS, row["span_end_s"] - row["span_start_s"])),
                ("distance", _ONE_MOMENT if row["distance_s"] is None else _first_above(
                    _DISTANCES, row["distance_s"])),
                ("domain", video["domain"] or UNKNOWN), ("language", video["language"] or UNKNOWN)):
            self._by[what][value] += 1
        if row["answer_index"] is not None:
            self._by["letter"][ascii_uppercase[row["answer_index"]]] += 1
        self._by["checked"]["clock"] += row["checks"]["clock"]
        self._by["checked"]["twins"] += row["twin_of"] is not None
        asked = row["checks"]["blind_asked"]
        if asked:
            self._blind[row["kind"]].update(samples=1, asked=asked, right=row["checks"]["blind_right"])
            self._chance[row["kind"]].append(asked / len(row["options"]))

    def figures(self) -> dict[str, Any]:
        return {
            "count": self.count, "twins": self._by["checked"]["twins"],
            "agree_with_clock": self._by["checked"]["clock"],
            **{f"by_{what}": dict(sorted(self._by[what].items())) for what in (
                "kind", "format", "domain", "language", "letter")},
            "by_span": _in_order(self._by["span"], [name for _, name in _SPANS]),
            "by_distance": _in_order(self._by["distance"], [_ONE_MOMENT, *(name for _, name in _DISTANCES)]),
            "blind": self._accuracy(list(self._blind)),
            "blind_by_kind": {kind: self._accuracy([kind]) for kind in sorted(self._blind)},
        }

    def _accuracy(self, kinds: Iterable[str]) -> dict[str, Any]:
        kinds = list(kinds)
        sums = {name: sum(self._blind[kind][name] for kind in kinds) for name in ("samples", "asked", "right")}
        chance = math.fsum(part for kind in kinds for part in self._chance[kind])
        return sums | {
            "accuracy": round(sums["right"] / sums["asked"], 6) if sums["asked"] else None,
            "chance": round(chance / sums["asked"], 6) if sums["asked"] else None}


def _clues(data: Path, videos: Mapping[str, Any]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for row in read_rows(data, "clues", ("video_id", "kept", "reason", "order_given", "seen")):
        if row["video_id"] in videos:
            counts.update(
                count=1, kept=row["kept"], ordered=row["order_given"] is not None,
                against_clock=row["reason"] == Reason.ORDER_AGAINST_CLOCK, shown=row["seen"] is not None,
                not_seen=row["reason"] == Reason.CLUE_NOT_SEEN,
                seen_elsewhere=row["reason"] == Reason.CLUE_SEEN_ELSEWHERE)
    return {name: counts[name] for name in (
        "count", "kept", "ordered", "against_clock", "shown", "not_seen", "seen_elsewhere")}


def _sources(videos: Iterable[Mapping[str, Any]], feature: str) -> dict[str, dict[str, Any]]:
    """Videos and hours by what the lists and sites say of them."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for video in videos:
        seconds[video[feature] or UNKNOWN].append(video["duration_s"])
    return {name: {"videos": len(some), "hours": round(math.fsum(some) / 3600, 6)}
            for name, some in sorted(seconds.items())}


def _first_above(bounds: Iterable[tuple[float, str]], seconds: float) -> str:
    """The name of the first range that reaches so far. A span of three minutes lies in the first, up to its end."""
    return next(name for most, name in bounds if seconds <= most)


def _in_order(counts: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    return {name: counts[name] for name in names if name in counts}
