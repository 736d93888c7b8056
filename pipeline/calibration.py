"""How many planted needles come out as clues, and how often in the right order: computed from the shards.

A needle is known by its name, the word or the coloured shape that it shows. It came out when a clue that may be
asked about lies in its clip and names it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from pipeline.needles import Needle
from pipeline.sentences import telling_words
from pipeline.shard_reading import read_rows
from schemas.reasons import Reason

NEEDLES_FILE = "needles.json"
"""Beside the shards: what was planted, by video."""


def calibration_figures(data: Path, needles: Mapping[str, Sequence[Needle]]) -> dict[str, Any]:
    """Figures about the planted copies of a data set.

    Args:
        data: its folder of tables.
        needles: what was planted, by id of the copy.
    """
    captions = {(row["video_id"], row["clip_index"]): " ".join([row["caption"], *(
        event["text"] for event in row["key_events"])]) for row in read_rows(
        data, "clips", ("video_id", "clip_index", "caption", "key_events"), split="calibration")}
    clues: dict[str, list[dict[str, Any]]] = {video_id: [] for video_id in needles}
    for row in read_rows(data, "clues", (
            "video_id", "clip_indexes", "start_s", "text", "order_given", "kept", "reason"), split="calibration"):
        clues[row["video_id"]].append(row)
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    kinds = {"still": Counter(), "insert": Counter()}
    for video_id, planted in needles.items():
        for needle in planted:
            here = [clue for clue in clues[video_id]
                    if needle.clip_index in clue["clip_indexes"] and is_named(needle, clue["text"])]
            came_out = any(clue["kept"] for clue in here)
            counts["captioned"] += is_named(needle, captions.get((video_id, needle.clip_index), ""))
            kinds[needle.kind].update(planted=1, clues=int(came_out))
            if not came_out:
                dropped.update({clue["reason"] for clue in here})
        counts["misplaced"] += sum(_is_misplaced(clue, planted) for clue in clues[video_id] if clue["kept"])
        right, pairs = _order(planted, clues[video_id])
        counts.update(pairs=pairs, pairs_in_order=right)
    count = sum(kind["planted"] for kind in kinds.values())
    out = sum(kind["clues"] for kind in kinds.values())
    return {
        "videos": len(needles), "needles": count, "captioned": counts["captioned"], "clues": out,
        "clue_share": _share(out, count), "misplaced": counts["misplaced"],
        "pairs": counts["pairs"], "pairs_in_order": counts["pairs_in_order"],
        "order_share": _share(counts["pairs_in_order"], counts["pairs"]),
        "by_kind": {name: {"planted": kind["planted"], "clues": kind["clues"]} for name, kind in kinds.items()},
        "dropped_by_reason": dict(sorted(dropped.items())),
    }


def is_named(needle: Needle, text: str) -> bool:
    """Whether a text names what a needle shows, letters large or small."""
    return set(needle.name.casefold().split()) <= telling_words(text)


def calibration_lines(figures: Mapping[str, Any]) -> list[str]:
    """The same for the card of the data set."""
    if not figures["videos"]:
        return ["No video fell into the share that needles are planted in.", ""]
    dropped = ", ".join(f"`{reason}` {count}" for reason, count in figures["dropped_by_reason"].items())
    return [
        f"Needles, pictures and short inserts with known content, were planted at known times: {figures['needles']} in "
        f"copies of {figures['videos']} of the videos. The copies lie in a split of their own, `calibration`, and are "
        "in no other figure here.", "",
        "| | |", "|---|---|",
        f"| needles that the captions name | {_of(figures['captioned'], figures['needles'])} |",
        f"| needles that came out as clues | {_of(figures['clues'], figures['needles'])} |",
        *(f"| of these, planted as {kind} | {_of(row['clues'], row['planted'])} |"
          for kind, row in figures["by_kind"].items()),
        f"| clues that name a needle planted elsewhere | {figures['misplaced']} |",
        f"| pairs of needles in the right order | {_of(figures['pairs_in_order'], figures['pairs'])} |",
        *([f"| clues that named their needle and were dropped | {dropped} |"] if dropped else []), ""]


def _order(planted: Sequence[Needle], clues: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Pairs of needles in the right order, and all pairs, of those that clues name.

    A clue that was dropped because it contradicts the clock counts: it is what the order is measured by.
    """
    places = []
    for needle in sorted(planted, key=lambda needle: needle.start_s):
        named = [clue for clue in clues if is_named(needle, clue["text"])
                 and (clue["kept"] or clue["reason"] == Reason.ORDER_AGAINST_CLOCK)]
        if named:
            places.append(min(
                clue["start_s"] if clue["order_given"] is None else clue["order_given"] for clue in named))
    pairs = list(combinations(places, 2))
    return sum(earlier < later for earlier, later in pairs), len(pairs)


def _is_misplaced(clue: Mapping[str, Any], planted: Sequence[Needle]) -> bool:
    named = [needle for needle in planted if is_named(needle, clue["text"])]
    return bool(named) and all(needle.clip_index not in clue["clip_indexes"] for needle in named)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.1%})" if whole else "none to count"
