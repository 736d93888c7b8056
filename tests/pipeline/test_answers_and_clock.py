"""Every answer follows from the times of clips and clues, recomputed from the tables by code of this file alone."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.uniform_frames import uniform_indexes
from tests.builds import rows
from tests.conftest import Sample
from tests.strange_sources import StrangeBuild

Row = dict[str, Any]
Stretch = tuple[float, float]


@dataclass(frozen=True)
class Truth:
    """The tables of a data set that decide what is right, by video."""

    samples: list[Row]
    clues: dict[str, Row]
    phrases: dict[tuple[str, str], Row]
    clips: dict[tuple[str, int], Row]
    frames: dict[str, dict[int, tuple[float, int]]]
    """Time and clip of each stored frame, by video and number."""


def _read(out: Path) -> Truth:
    clues = rows(out, "clues")
    kept = [clue for clue in clues if clue["kept"]]
    phrases = {(clue["video_id"], " ".join(clue["text"].split())): clue for clue in kept}
    assert len(phrases) == len(kept), "two kept clues of a video read the same"
    frames: dict[str, dict[int, tuple[float, int]]] = defaultdict(dict)
    for row in rows(out, "frames", ["video_id", "frame_index", "t_s", "clip_index"]):
        frames[row["video_id"]][row["frame_index"]] = row["t_s"], row["clip_index"]
    return Truth(
        rows(out, "samples"), {clue["clue_id"]: clue for clue in clues}, phrases,
        {(clip["video_id"], clip["clip_index"]): clip for clip in rows(out, "clips")}, frames)


def _check_all(truth: Truth) -> None:
    for sample in truth.samples:
        _check_evidence(sample, truth)
        _check_form(sample)
        CHECKS[sample["kind"]](sample, truth)
        _check_min_frames(sample, truth)


def _check_evidence(sample: Row, truth: Truth) -> None:
    start_s, end_s = sample["span_start_s"], sample["span_end_s"]
    assert sample["evidence"]
    for item in sample["evidence"]:
        clip = truth.clips[sample["video_id"], item["clip_index"]]
        assert (item["start_s"], item["end_s"]) == (clip["start_s"], clip["end_s"])
        assert start_s <= clip["start_s"] < clip["end_s"] <= end_s
        if item["clue_id"] is not None:
            clue = truth.clues[item["clue_id"]]
            assert clue["kept"]
            assert item["clip_index"] in clue["clip_indexes"]
            assert start_s <= clue["start_s"] < clue["end_s"] <= end_s


def _check_form(sample: Row) -> None:
    assert sample["checks"]["clock"] is True
    [shown] = sample["media"]
    assert (shown["type"], shown["video_id"]) == ("video", sample["video_id"])
    assert (shown["start_s"], shown["end_s"]) == (sample["span_start_s"], sample["span_end_s"])
    assert bool(shown["frame_indexes"]) == (sample["twin_of"] is not None)
    human, model = sample["conversations"]
    assert (human["from"], model["from"]) == ("human", "gpt")
    assert human["value"].startswith(f"<image>\n{sample['question']}")
    assert human["value"].count("<image>") == 1
    if sample["format"] == "open":
        assert (sample["options"], sample["answer_index"], model["value"]) == ([], None, sample["answer"])
        return
    assert len(set(sample["options"])) == len(sample["options"]) >= 3
    assert sample["options"][sample["answer_index"]] == sample["answer"]
    for letter, option in zip("ABCDE", sample["options"], strict=False):
        assert f"\n({letter}) {option}\n" in human["value"]
    assert model["value"] == f"({'ABCDE'[sample['answer_index']]}) {sample['answer']}"


def _check_min_frames(sample: Row, truth: Truth) -> None:
    """By trying every budget on the frames that are shown."""
    times = np.array(_shown_frames(sample, truth))

    def keeps_two(budget: int) -> bool:
        shown = times[uniform_indexes(len(times), budget)]
        return all(((shown >= item["start_s"]) & (shown < item["end_s"])).sum() >= 2 for item in sample["evidence"])

    least = sample["min_frames"]
    assert all(keeps_two(budget) for budget in range(least, len(times) + 1))
    assert not keeps_two(least - 1)


def _shown_frames(sample: Row, truth: Truth) -> list[float]:
    """Times of the frames that the sample shows, in the order shown."""
    frames = truth.frames[sample["video_id"]]
    if sample["twin_of"]:
        return [frames[index][0] for index in sample["media"][0]["frame_indexes"]]
    return [t_s for t_s, _ in frames.values() if sample["span_start_s"] <= t_s < sample["span_end_s"]]


def _stretch(sample: Row, phrase: str, truth: Truth) -> Stretch:
    """When a clue is seen; in a twin, the places of the frames that show it."""
    clue = truth.phrases[sample["video_id"], phrase]
    if not sample["twin_of"]:
        return clue["start_s"], clue["end_s"]
    [clip] = clue["clip_indexes"]
    clip_row = truth.clips[sample["video_id"], clip]
    places = [place for place, t_s in enumerate(_shown_frames(sample, truth))
              if clip_row["start_s"] <= t_s < clip_row["end_s"]]
    assert places == list(range(places[0], places[-1] + 1)), "a clip is shown in pieces"
    return float(places[0]), float(places[-1] + 1)


def _check_order(sample: Row, truth: Truth) -> None:
    numbered = dict(re.fullmatch(r"\((\d)\) (.+)", line).groups() for line in sample["question"].split("\n")[1:])
    times = {number: _stretch(sample, phrase, truth) for number, phrase in numbered.items()}
    order = sorted(times, key=times.get)
    _check_apart([times[number] for number in order])
    assert sample["answer"] == " → ".join(f"({number})" for number in order)
    assert order != sorted(order), "the question gives the order away"
    for option in sample["options"]:
        assert sorted(re.findall(r"\d", option)) == sorted(numbered)


def _check_next(sample: Row, truth: Truth) -> None:
    anchor, times = _anchor_and_options(sample, truth)
    later = {option: start for option, (start, _) in times.items() if start >= anchor[1]}
    assert min(later, key=later.get) == sample["answer"]


def _check_before(sample: Row, truth: Truth) -> None:
    anchor, times = _anchor_and_options(sample, truth)
    earlier = {option: end for option, (_, end) in times.items() if end <= anchor[0]}
    assert max(earlier, key=earlier.get) == sample["answer"]


def _anchor_and_options(sample: Row, truth: Truth) -> tuple[Stretch, dict[str, Stretch]]:
    anchor, *more = sample["question"].split("\n")[1:]
    times = {option: _stretch(sample, option, truth) for option in _options(sample, more)}
    anchored = _stretch(sample, anchor, truth)
    _check_apart(sorted([anchored, *times.values()]))
    return anchored, times


def _options(sample: Row, lines: list[str]) -> list[str]:
    """The options; an open question names them itself."""
    if sample["format"] == "open":
        assert all(line.startswith("- ") for line in lines)
        return [line.removeprefix("- ") for line in lines]
    assert lines == []
    return sample["options"]


def _check_first_or_last(sample: Row, truth: Truth) -> None:
    head, *lines = sample["question"].split("\n")
    ordered = sorted(_options(sample, lines), key=lambda option: _stretch(sample, option, truth))
    _check_apart([_stretch(sample, option, truth) for option in ordered])
    names = ["first", "second", "last but one", "last"] if len(ordered) == 4 else ["first", "second", "last"]
    asked = re.search(r"the (first|second|last but one|last)\b(?! but)", head)[1]
    assert ordered[names.index(asked)] == sample["answer"]


def _check_minute(sample: Row, truth: Truth) -> None:
    stretch = _stretch(sample, sample["question"].split("\n")[1], truth)
    start_s, end_s = (t_s - sample["span_start_s"] for t_s in stretch)
    assert sample["answer"] == f"in minute {int(start_s // 60) + 1}"
    assert start_s // 60 == end_s // 60


def _check_look(sample: Row, truth: Truth) -> None:
    first, second = (
        truth.clips[sample["video_id"], truth.phrases[sample["video_id"], line[4:]]["clip_indexes"][0]]["measures"]
        for line in sample["question"].split("\n")[1:])
    assert abs(first["brightness"] - second["brightness"]) > 0.11
    light = "brighter" if second["brightness"] > first["brightness"] else "darker"
    pace = "faster" if second["motion"] > first["motion"] else "slower"
    assert light in sample["answer"]
    assert pace in sample["answer"]
    assert [option for option in sample["options"] if light in option and pace in option] == [sample["answer"]]


def _check_what_follows_in_words(sample: Row, truth: Truth) -> None:
    clue = truth.phrases[sample["video_id"], sample["question"].split("\n", 1)[1]]
    following = truth.clips[sample["video_id"], clue["clip_indexes"][-1] + 1]
    assert following["start_s"] >= clue["end_s"]
    known = [sentence for index in clue["clip_indexes"]
             for sentence in truth.clips[sample["video_id"], index]["sentences"]]
    assert sample["answer"] == " ".join(sentence for sentence in following["sentences"] if sentence not in known)


def _check_when(sample: Row, truth: Truth) -> None:
    start_s, end_s = _stretch(sample, sample["question"].split("\n", 1)[1], truth)
    length = sample["span_end_s"] - sample["span_start_s"]
    shares = [(t_s - sample["span_start_s"]) / length for t_s in (start_s, end_s)]
    name = ("first", "second", "third", "last")[int(shares[0] * 4)]
    assert int(shares[0] * 4) <= shares[0] * 4 < shares[1] * 4 <= int(shares[0] * 4) + 1
    assert sample["answer"] == f"in the {name} quarter"


def _check_storyline(sample: Row, truth: Truth) -> None:
    asked = [line.removeprefix("- ") for line in sample["question"].split("\n")[1:]]
    order = sorted(asked, key=lambda phrase: _stretch(sample, phrase, truth))
    _check_apart([_stretch(sample, phrase, truth) for phrase in order])
    assert len(order) >= 4
    assert asked != order, "the question gives the order away"
    assert sample["answer"] == "\n".join(f"{number}. {phrase}" for number, phrase in enumerate(order, start=1))


def _check_describe(sample: Row, truth: Truth) -> None:
    indexes = [item["clip_index"] for item in sample["evidence"]]
    assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))
    clips = [truth.clips[sample["video_id"], index] for index in indexes]
    assert (clips[0]["start_s"], clips[-1]["end_s"]) == (sample["span_start_s"], sample["span_end_s"])
    said = [sentence for clip in clips for sentence in clip["sentences"]]
    assert sample["answer"] == " ".join(sentence for place, sentence in enumerate(said) if sentence not in said[:place])


def _check_apart(stretches: list[Stretch]) -> None:
    """What overlaps has no order."""
    assert all(before[1] <= after[0] for before, after in pairwise(stretches))


CHECKS: dict[str, Callable[[Row, Truth], None]] = {
    "order_events": _check_order, "came_next": _check_next, "came_before": _check_before, "when": _check_when,
    "storyline": _check_storyline, "describe": _check_describe, "first_or_last": _check_first_or_last,
    "which_minute": _check_minute, "what_follows": _check_next, "say_what_follows": _check_what_follows_in_words,
    "look_changed": _check_look,
}


def _overlap(one: Stretch, other: Stretch) -> float:
    return min(one[1], other[1]) - max(one[0], other[0])


def _returning(sample: Sample) -> Iterator[Stretch]:
    """The stretches of scenes that are shown more than once."""
    looks = [(scene.pattern, scene.colours, scene.seed) for scene in sample.script.scenes]
    for scene, look in zip(sample.script.scenes, looks, strict=True):
        if looks.count(look) > 1:
            yield scene.start_s, scene.end_s


def test_the_sample_video_gives_thirty_questions_of_every_kind(sample_build: Path) -> None:
    kinds = Counter(row["kind"] for row in rows(sample_build, "samples", ["kind"]))
    assert kinds.total() >= 30
    assert set(kinds) >= {"order_events", "first_or_last", "when", "storyline", "describe", "say_what_follows"}


def test_every_answer_about_the_sample_video_agrees_with_the_clock(sample_build: Path) -> None:
    _check_all(_read(sample_build))


def test_every_measured_answer_agrees_with_the_clock(strange_build: StrangeBuild) -> None:
    truth = _read(strange_build.out)
    assert len({sample["kind"] for sample in truth.samples}) >= 3
    _check_all(truth)


def test_clues_of_the_sample_video_are_where_the_script_says(sample: Sample, sample_build: Path) -> None:
    events = Counter((event.text, event.start_s, event.end_s) for event in sample.script.events)
    kept = [(row["text"], row["start_s"], row["end_s"]) for row in rows(sample_build, "clues") if row["kept"]]
    assert len(kept) >= 10
    assert set(kept) <= set(events)
    once = Counter(event.text for event in sample.script.events)
    assert [text for text, _, _ in kept if once[text] > 1] == []


@pytest.mark.parametrize("captioner", ["file", "measured"])
def test_no_clue_of_the_scene_that_returns_is_kept(
    sample: Sample, sample_build: Path, strange_build: StrangeBuild, captioner: str
) -> None:
    returning = list(_returning(sample))
    assert len(returning) >= 2
    out = sample_build if captioner == "file" else strange_build.out
    longest = max(rows(out, "videos"), key=lambda video: video["duration_s"])["video_id"]
    clues = [row for row in rows(out, "clues") if row["video_id"] == longest]
    inside = [row for row in clues
              if any(_overlap((row["start_s"], row["end_s"]), stretch) > 1 for stretch in returning)]
    assert inside
    assert [row["text"] for row in inside if row["kept"]] == []


def test_no_letter_is_always_right(sample_build: Path) -> None:
    letters: dict[str, Counter[int]] = defaultdict(Counter)
    for row in rows(sample_build, "samples"):
        if row["format"] == "multiple_choice":
            letters[row["kind"]][row["answer_index"]] += 1
    assert set().union(*letters.values()) == {0, 1, 2, 3}


def test_the_reel_gives_clips_and_questions_and_keeps_nothing_of_the_scene_that_returns(
    reel_build: Path, test_data: Path
) -> None:
    assert len(rows(reel_build, "clips", ["clip_index"])) == 26
    truth = _read(reel_build)
    assert len(truth.samples) >= 10
    assert len({sample["kind"] for sample in truth.samples}) >= 3
    _check_all(truth)


def test_no_kept_clue_lies_in_the_scene_of_the_reel_that_returns(reel_build: Path, test_data: Path) -> None:
    """Scene 12 is the first ten seconds of scene 0 again; a clip that holds a second of either does not count."""
    scenes = {scene["index"]: scene for scene in _reel(test_data)["scenes"]}
    twice = [(scenes[0]["start_s"], scenes[0]["start_s"] + 10), (scenes[12]["start_s"], scenes[12]["end_s"])]
    clips = {row["clip_index"]: (row["start_s"], row["end_s"]) for row in rows(reel_build, "clips")}
    kept = [row for row in rows(reel_build, "clues") if row["kept"]]
    assert kept
    for clue in kept:
        for index in clue["clip_indexes"]:
            assert max(_overlap(clips[index], stretch) for stretch in twice) <= 1, clue["text"]


def _reel(test_data: Path) -> Row:
    return json.loads((test_data / "videos" / "reel.json").read_text(encoding="utf-8"))
