"""Event re-ordering: descriptions of scenes in a random order, to be put back into that of the video.

The scenes are clips of the test split of a VICO data set with their captions, five of a stretch, drawn from its id.
Scored position by position (chance: 20 %), by pairs (of all pairs of scenes, how many are named, and in the right
order; chance: 50 %), and as a whole (chance: 0.8 %).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

from model.evaluation.benchmarks.vico_held_out import POLICY, SOURCE, frames_of_set, held_out_rows, minutes_up_to
from model.evaluation.figures import Item, figures_of
from model.evaluation.question import Question, Reply
from model.evaluation.stored_stretch import StoredStretch
from model.evaluation.task import AnswerRow, BadDataError, Figure, Score, Task
from model.training.frame_table import FrameTable

SCENES = 5
STRETCHES_S = (180.0, 600.0, float("inf"))
"""Lengths of stretches; the last one is the whole video."""
MOST_STRETCHES = 10
"""Of one length and video."""


@dataclass(frozen=True, eq=False)
class VicoReorder(Task):
    """One question for each stretch with enough scenes."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        root = data / self.folder
        table = frames_of_set(self, root)
        videos: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for clip in held_out_rows(root, "clips"):
            if clip["caption"]:
                videos[clip["video_id"]].append(clip)
        found = [
            _question(root, table, video_id, stretch)
            for video_id, clips in sorted(videos.items()) for stretch in _stretches(video_id, clips)]
        if not found:
            raise BadDataError(f"{root} has no test video with {SCENES} different captions: build more, with "
                               "--test-share above 0")
        return found

    def score(self, question: Question, reply: Reply) -> Score:
        """The share of positions that are right; what was read are the numbers in the order in which they are named."""
        said, truth = numbers_named(reply.text), question.answer.split()
        return Score(" ".join(said) or None, in_place(said, truth))

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """Positions, pairs and whole orders."""
        figures = []
        for name, value in (("positions", in_place), ("pairs", pairs_in_order), ("whole order", whole_order)):
            items = [Item(row.video, value((row.read or "").split(), row.answer.split()), row.attributes)
                     for row in rows]
            figures += figures_of(items, overall=name)
            if name != "whole order":
                by_span = figures_of(items, ("span",))[1:]
                figures += [Figure(f"{name}, {one.name}", one.estimate) for one in by_span]
        return figures


def numbers_named(text: str) -> list[str]:
    """Numbers of scenes in the order in which an answer first names them: "24153" names five, 16 none."""
    # There are fewer than ten scenes, so each digit of a row of digits names one if all of them do.
    runs = re.findall(rf"(?<!\d)[1-{SCENES}]+(?!\d)", text)
    return list(dict.fromkeys("".join(runs)))


def in_place(said: Sequence[str], truth: Sequence[str]) -> float:
    """The share of positions that hold the right scene."""
    return sum(one == other for one, other in zip(said, truth, strict=False)) / len(truth)


def pairs_in_order(said: Sequence[str], truth: Sequence[str]) -> float:
    """The share of all pairs of scenes that are named, the earlier one first."""
    places = {number: place for place, number in enumerate(said)}
    pairs = list(combinations(truth, 2))
    right = sum(one in places and other in places and places[one] < places[other] for one, other in pairs)
    return right / len(pairs)


def whole_order(said: Sequence[str], truth: Sequence[str]) -> float:
    """1 if everything is right."""
    return float(list(said) == list(truth))


def _stretches(video_id: str, clips: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Five clips of a stretch, by time; of each length a few stretches, drawn. What is shown twice has no place."""
    clips = sorted(clips, key=lambda clip: clip["start_s"])
    seen: set[tuple[int, ...]] = set()
    for length_s in STRETCHES_S:
        groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for clip in clips:
            groups[int(clip["start_s"] // length_s)].append(clip)
        usable = [some for group in groups.values() if len(some := _once(group)) >= SCENES]
        rng = Random(f"{video_id} {length_s}")
        for some in rng.sample(usable, min(MOST_STRETCHES, len(usable))):
            indexes = tuple(clip["clip_index"] for clip in some)
            if indexes not in seen:  # a short video is one stretch at every length
                seen.add(indexes)
                yield sorted(rng.sample(some, SCENES), key=lambda clip: clip["start_s"])


def _once(clips: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clips whose caption no other clip among them has."""
    count = Counter(clip["caption"] for clip in clips)
    return [clip for clip in clips if count[clip["caption"]] == 1]


def _question(root: Path, table: FrameTable, video_id: str, scenes: Sequence[Mapping[str, Any]]) -> Question:
    start_s, end_s = scenes[0]["start_s"], scenes[-1]["end_s"]
    name = f"{video_id} {'-'.join(str(scene['clip_index']) for scene in scenes)}"
    order = Random(name).sample(range(SCENES), SCENES)  # the scene that each number stands for
    listed = "\n".join(f"({number}) {scenes[scene]['caption']}" for number, scene in enumerate(order, 1))
    truth = " ".join(str(order.index(scene) + 1) for scene in range(SCENES))
    return Question(
        question_id=name, viewing=StoredStretch(root, video_id, start_s, end_s, (), table),
        prompt=f"These {SCENES} scenes of the video are mixed up:\n{listed}\nWrite their numbers in the order in which "
               "the video shows them, and nothing else, such as: 2, 4, 1, 5, 3.",
        format="open", answer=truth, most_tokens=32, attributes={"span": minutes_up_to(end_s - start_s)})


TASKS: list[Task] = [VicoReorder("vico-reorder", "VICO", SOURCE, POLICY, scoring=2)]
