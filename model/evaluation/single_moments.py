"""Questions about single moments, made from a VICO data set of miniature films: what a model can learn without order.

    describe_moment  open             Describe what is to be seen ... -> the caption of a clip, shown alone
    find_colour      open             What colour is the star? -> the needle: one event in a stretch
    find_shape       open             Which shape is red?
    list_by_colour   open             Which shapes are to be seen? Name them by colour, from A to Z.
    list_by_shape    open             Which colours are to be seen? Name them by shape, from A to Z.
    which_is_seen    both             like VICO's: one event of the stretch beside three that are not in it

The lists name what a stretch shows in the order of the alphabet, so that they say nothing about time.

The data set shares frames with the one it is made from (hard links), so that both show the same pictures.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.evaluation.miniature_films import CLIP_S, LOOKS, Look, told
from model.training.shard_files import open_table, table_files
from schemas.tables import with_footer
from schemas.uniform_frames import smallest_budget

DATASET, PARTS_DATASET = "moments", "moments-of-parts"
_OPTIONS, _LETTERS = 4, "ABCD"
_PARTS = (4, 2, 1)
"""Needles are sought in quarters and halves of the stretches too: seeking is learned sooner among fewer events. These,
and the captions of clips, are the data set `moments-of-parts`.
"""
_SEEN = ("Which of these moments is to be seen in the video?", "Which of the moments below does the video show?",
         "One of these moments happens in the video. Which?")
_BY_COLOUR = "Which shapes are to be seen? Name them by colour, from A to Z."
_BY_SHAPE = "Which colours are to be seen? Name them by shape, from A to Z."
_DESCRIBE = ("Describe what is to be seen in this part of the video.", "What happens in this video? Describe it.")


@dataclass(frozen=True, slots=True)
class Moment:
    """An event of a film; seconds."""

    start_s: float
    end_s: float
    look: Look


def write_single_moments(vico: Path, out: Path, span_seconds: int, open_share: float) -> int:
    """Write the data set; one that is there stays.

    Args:
        vico: what `build-vico` made of miniature films.
        out: the output folder.
        span_seconds: length of the stretches; beside them the whole film and, for needles, parts of the stretches.
        open_share: how often `which_is_seen` asks for the words of the right option, and not for its letter.

    Returns:
        How many samples there are.
    """
    if (out / "manifest.json").is_file():
        return json.loads((out / "manifest.json").read_text())["rows"]["samples"]
    shutil.rmtree(out, ignore_errors=True)
    for path in sorted((vico / "data").rglob("*.parquet")):
        if path.parent.name != "samples":
            target = out / path.relative_to(vico)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    videos = {row["video_id"]: row for path in table_files(vico, "videos") for row in _rows(path, "videos")}
    moments = _moments(vico)
    rows = [row for video_id, video in sorted(videos.items())
            for row in _samples(video, moments.get(video_id, []), span_seconds, open_share)]
    for split in sorted({row["split"] for row in rows}):
        path = out / "data" / "samples" / f"{split}-00000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = sorted((row for row in rows if row["split"] == split), key=lambda row: row["sample_id"])
        pq.write_table(pa.Table.from_pylist(mine, schema=with_footer("samples")), path, compression="zstd")
    (out / "manifest.json").write_text(json.dumps({"rows": {"samples": len(rows)}}))
    return len(rows)


def _rows(path: Path, table: str) -> list[dict[str, Any]]:
    return open_table(path, table).read().to_pylist()


def _moments(vico: Path) -> dict[str, list[Moment]]:
    """What happens in each film, by time: its clues, those too that VICO does not ask about."""
    found: dict[str, list[Moment]] = {}
    for path in table_files(vico, "clues"):
        for row in _rows(path, "clues"):
            found.setdefault(row["video_id"], []).append(Moment(row["start_s"], row["end_s"], LOOKS[row["text"]]))
    return {video_id: sorted(moments, key=lambda moment: moment.start_s) for video_id, moments in found.items()}


def _samples(
    video: dict[str, Any], moments: Sequence[Moment], span_seconds: int, open_share: float
) -> Iterator[dict[str, Any]]:
    seconds = round(video["duration_s"])
    lengths = [*(span_seconds // part for part in _PARTS), seconds]
    spans = [(start, start + length) for length in lengths for start in range(0, seconds - length + 1, length)]
    for start_s, end_s in dict.fromkeys(spans):
        rng = Random(f"{video['video_id']} {start_s} {end_s}")
        inside = [moment for moment in moments if start_s <= moment.start_s and moment.end_s <= end_s]
        span = video, start_s, end_s, DATASET if end_s - start_s >= span_seconds else PARTS_DATASET
        if inside and seconds > span[2] - span[1]:
            yield _sample(span, inside, "list_by_colour", _BY_COLOUR, _listed(inside, "{0} {1}"))
            yield _sample(span, inside, "list_by_shape", _BY_SHAPE, _listed(inside, "{1} {0}"))
        times = Counter(word for moment in inside for word in moment.look)
        for moment in inside:
            colour, shape = moment.look
            if times[shape] == 1:
                yield _sample(span, [moment], "find_colour", f"What colour is the {shape}?", f"{colour.capitalize()}.")
            if times[colour] == 1:
                yield _sample(span, [moment], "find_shape", f"Which shape is {colour}?", f"{shape.capitalize()}.")
            if end_s - start_s >= span_seconds:
                yield _which_is_seen(span, moment, inside, open_share, rng)
    for moment in moments:
        rng = Random(f"{video['video_id']} {moment.start_s}")
        span = video, moment.start_s, moment.end_s, PARTS_DATASET
        yield _sample(span, [moment], "describe_moment", rng.choice(_DESCRIBE), told(moment.look))


def _listed(moments: Sequence[Moment], form: str) -> str:
    """Looks by the alphabet, one after the other."""
    return ", ".join(sorted(form.format(*moment.look) for moment in moments)).capitalize() + "."


def _which_is_seen(
    span: tuple, moment: Moment, inside: Sequence[Moment], open_share: float, rng: Random
) -> dict[str, Any]:
    shown = {one.look for one in inside}
    absent = rng.sample([look for look in LOOKS.values() if look not in shown], _OPTIONS - 1)
    options = [told(look) for look in absent]
    index = rng.randrange(_OPTIONS)
    options.insert(index, told(moment.look))
    question, answer = rng.choice(_SEEN), options[index]
    if rng.random() < open_share:
        listed = "\n".join([question, *(f"- {option}" for option in options)])
        return _sample(span, [moment], "which_is_seen", listed, answer)
    return _sample(span, [moment], "which_is_seen", question, answer, options, index)


def _sample(
    span: tuple[dict[str, Any], float, float, str], moments: Sequence[Moment], kind: str, question: str, answer: str,
    options: Sequence[str] = (), index: int | None = None,
) -> dict[str, Any]:
    """A row of `samples`, its conversation worded like VICO's."""
    video, start_s, end_s, dataset = span
    asked, said = question, answer
    if options:
        listed = "\n".join(f"({letter}) {option}" for letter, option in zip(_LETTERS, options, strict=True))
        asked = f"{question}\nOptions:\n{listed}\nGive the letter of the right option and its words."
        said = f"({_LETTERS[index]}) {answer}"
    shown = [(round(moment.start_s - start_s), round(moment.end_s - start_s)) for moment in moments]
    name = f"{video['video_id']} {start_s} {end_s} {kind} {moments[0].start_s} {question} {options}"
    return {
        "sample_id": hashlib.sha256(name.encode()).hexdigest()[:32], "dataset": dataset,
        "video_id": video["video_id"], "split": video["split"], "kind": kind,
        "format": "multiple_choice" if options else "open", "question": question, "options": list(options),
        "answer": answer, "answer_index": index,
        "conversations": [{"from": "human", "value": f"<image>\n{asked}"}, {"from": "gpt", "value": said}],
        "media": [{"type": "video", "video_id": video["video_id"], "start_s": float(start_s),
                   "end_s": float(end_s), "frame_indexes": []}],
        "span_start_s": float(start_s), "span_end_s": float(end_s),
        "min_frames": smallest_budget(round(end_s - start_s), shown),
        "evidence": [{"clue_id": None, "clip_index": int(moment.start_s // CLIP_S), "start_s": moment.start_s,
                      "end_s": moment.end_s} for moment in moments],
        "distance_s": None, "language": "en", "twin_of": None,
        "checks": {"clock": True, "similarity": 0.0, "blind_right": 0, "blind_asked": 0},
        "captioner": "file", "orderer": "clock", "calibration": False}
