"""On films whose script is known, with thousands of events, every answer is right: worked out here from the script."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise

import pytest

from pipeline.questions import ask_about
from schemas.build_config import BuildConfig
from schemas.records import Sample
from tests.scripted_films import CLIP_S, Film, scripted_film

CONFIG = BuildConfig(captioner="file", captions=["given.jsonl"], captions_complete=True, twin_share=0.4)
COUNTS = ["not once", "once", "twice", *(f"{name} times" for name in ("three", "four", "five", "six", "seven"))]


class Seen:
    """What a sample shows, as a viewer sees it: when each thing of the script begins and ends."""

    def __init__(self, film: Film, sample: Sample) -> None:
        self._film, self._sample = film, sample
        frames = sample.frame_indexes or range(
            round(sample.span_start_s / CLIP_S) * 14, round(sample.span_end_s / CLIP_S) * 14)
        self._clips = [index // 14 for index in frames[::14]]
        assert [index for clip in self._clips for index in range(14 * clip, 14 * clip + 14)] == list(frames)

    def all(self, text: str) -> list[tuple[float, float]]:
        """Every time it is seen, seconds from the beginning of what is shown."""
        happenings = self._film.happenings.get(text) or [
            (CLIP_S * clip, CLIP_S * (clip + 1)) for clip, caption in self._film.subject.captions.items()
            if text in caption.actions]
        found = []
        for start_s, end_s in happenings:
            clip = int(start_s // CLIP_S)
            if clip in self._clips:
                shift = CLIP_S * (self._clips.index(clip) - clip)
                found.append((start_s + shift, end_s + shift))
        return sorted(found)

    def once(self, text: str) -> tuple[float, float]:
        """When it is seen; it must be seen once."""
        [when] = self.all(text)
        return when

    def clip(self, text: str) -> int:
        """The clip of the film that it is in."""
        return int(self._film.happenings[text][0][0] // CLIP_S)


def _order(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    texts = {line[1]: line[4:] for line in lines}
    return " → ".join(f"({number})" for number in sorted(texts, key=lambda number: seen.once(texts[number])))


def _next(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    _, end_s = seen.once(lines[0])
    return min((text for text in options if seen.once(text)[0] >= end_s), key=seen.once)


def _before(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    start_s, _ = seen.once(lines[0])
    return max((text for text in options if seen.once(text)[1] <= start_s), key=seen.once)


def _nth(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    name = re.search(r"the (first|second|last but one|last)( in| that|\?)", sample.question)[1]
    return sorted(options, key=seen.once)[{"first": 0, "second": 1, "last but one": -2, "last": -1}[name]]


def _part(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    times = seen.all(lines[0])
    if not times:
        return "it does not happen in this video"
    [(start_s, _)] = times
    quarter = int(4 * start_s / (sample.span_end_s - sample.span_start_s))
    return f"in the {('first', 'second', 'third', 'last')[quarter]} quarter"


def _minute(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    return f"in minute {1 + int(seen.once(lines[0])[0] / 60)}"


def _look(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    one, two = (film.subject.clips[seen.clip(line[4:])].measures for line in lines)
    return (f"it is {'brighter' if two.brightness > one.brightness else 'darker'}, and things move "
            f"{'faster' if two.motion > one.motion else 'slower'}")


def _place(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    one, two = (film.subject.captions[seen.clip(line[4:])].setting for line in lines)
    return f"from {one} to {two}"


def _story(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    ordered = sorted((line[2:] for line in lines), key=seen.once)
    return "\n".join(f"{number}. {text}" for number, text in enumerate(ordered, start=1))


def _goes_on(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    clip, captions = seen.clip(lines[0]), film.subject.captions
    return " ".join(said for said in captions[clip + 1].sentences if said not in captions[clip].sentences)


def _count(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    return COUNTS[len(seen.all(lines[0]))]


def _never(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    [absent] = [text for text in options if not seen.all(text)]
    return absent


def _described(sample: Sample, lines: list[str], options: list[str], seen: Seen, film: Film) -> str:
    first, last = round(sample.span_start_s / CLIP_S), round(sample.span_end_s / CLIP_S)
    said = [sentence for clip in range(first, last) for sentence in film.subject.captions[clip].sentences]
    return " ".join(sentence for place, sentence in enumerate(said) if sentence not in said[:place])


ANSWERS: dict[str, Callable[[Sample, list[str], list[str], Seen, Film], str]] = {
    "order_events": _order, "order_actions": _order, "came_next": _next, "came_before": _before,
    "what_follows": _next, "first_or_last": _nth, "when": _part, "which_minute": _minute, "look_changed": _look,
    "place_changed": _place, "storyline": _story, "say_what_follows": _goes_on, "how_often": _count,
    "never_happens": _never, "describe": _described}


@pytest.fixture(scope="module")
def asked(long_tests: bool) -> list[tuple[Film, list[Sample]]]:
    """Films of a few minutes to five hours, with thousands of events together."""
    sizes = [1300, *[700] * 4, *[150] * 40] if long_tests else [1300, 150, 150, 150, 60, 14]
    films = [scripted_film(seed, clips, repeated=clips // 5) for seed, clips in enumerate(sizes)]
    assert sum(len(film.happenings) for film in films) > 2000
    return [(film, list(ask_about(CONFIG, film.subject).samples.values())) for film in films]


def test_every_answer_is_that_of_the_script(asked: list[tuple[Film, list[Sample]]]) -> None:
    kinds: Counter[str] = Counter()
    for film, samples in asked:
        for sample in samples:
            _, *lines = sample.question.split("\n")
            options = sample.options or [line[2:] for line in lines if line.startswith("- ")]
            said = ANSWERS[sample.kind](sample, lines, options, Seen(film, sample), film)
            assert said == sample.answer, (sample.kind, sample.question)
            if sample.options:
                assert sample.options[sample.answer_index] == sample.answer
            assert len(set(options)) == len(options)
            kinds[sample.kind] += 1
    assert set(kinds) == set(ANSWERS)
    assert min(kinds.values()) >= 15


def test_twins_ask_the_same_of_the_same_clips_and_have_another_answer(asked: list[tuple[Film, list[Sample]]]) -> None:
    twins = 0
    for _film, samples in asked:
        by_id = {sample.sample_id: sample for sample in samples}
        for twin in (sample for sample in samples if sample.twin_of):
            first = by_id[twin.twin_of]
            assert (twin.question, twin.options, twin.kind) == (first.question, first.options, first.kind)
            assert twin.answer != first.answer
            assert {item.clip_index for item in twin.evidence} == {item.clip_index for item in first.evidence}
            assert sorted(twin.frame_indexes) == list(range(
                round(first.span_start_s / CLIP_S) * 14, round(first.span_end_s / CLIP_S) * 14))
            assert not first.frame_indexes
            twins += 1
    assert twins >= 50


def test_what_is_asked_about_lies_seconds_minutes_and_an_hour_apart(asked: list[tuple[Film, list[Sample]]]) -> None:
    _film, samples = asked[0]
    distances: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        if sample.distance_s is not None:
            distances[sample.kind].append(sample.distance_s)
    for kind in ("order_events", "first_or_last", "came_next", "came_before", "storyline", "place_changed"):
        assert min(distances[kind]) < 120
        assert sum(120 <= distance < 3600 for distance in distances[kind]) >= 10
        assert max(distances[kind]) > 3600


def test_spans_and_kinds_have_like_many_questions(asked: list[tuple[Film, list[Sample]]]) -> None:
    _film, samples = asked[0]
    kinds = Counter(sample.kind for sample in samples if sample.twin_of is None)
    assert kinds.total() <= CONFIG.max_questions_per_video
    usual = [kinds[kind] for kind in kinds if kind not in ("how_often", "describe")]
    assert max(usual) <= 1.5 * min(usual)
    spans = Counter(
        min((180, 600, 1800, 18200), key=lambda length: abs(sample.span_end_s - sample.span_start_s - length))
        for sample in samples if sample.twin_of is None and sample.kind == "order_events")
    assert len(spans) == 4
    assert max(spans.values()) <= 1.5 * min(spans.values())


@pytest.mark.parametrize(("share", "forms"), [(0.0, {"multiple_choice"}), (1.0, {"open"})])
def test_the_open_share_says_whether_words_are_asked_for_or_letters(share: float, forms: set[str]) -> None:
    asked = ask_about(CONFIG.model_copy(update={"open_share": share}), scripted_film(seed=3, clips=40).subject)
    found = {kind: {sample.format for sample in asked.samples.values() if sample.kind == kind}
             for kind in ("first_or_last", "came_next", "came_before", "order_events")}
    assert found.pop("order_events") == {"multiple_choice"}
    assert found == dict.fromkeys(found, forms)


def test_three_moments_are_asked_about_when_no_four_are_left() -> None:
    film = scripted_film(seed=3, clips=4)
    config = CONFIG.model_copy(update={"max_questions_per_clue": 1000, "twin_share": 0.0, "open_share": 0.0})
    sets = [frozenset(sample.options) for sample in ask_about(config, film.subject).samples.values()
            if sample.kind == "first_or_last"]
    assert {len(options) for options in sets} == {3, 4}
    assert len(sets) == len(set(sets))


def test_no_clue_is_asked_about_too_often() -> None:
    film = scripted_film(seed=3, clips=14)
    config = CONFIG.model_copy(update={"max_questions_per_clue": 5, "twin_share": 0.0})
    mentions = Counter(
        text for sample in ask_about(config, film.subject).samples.values() if sample.kind != "describe"
        for text in film.happenings if text in sample.question + "\n".join(sample.options))
    assert max(mentions.values()) == 5


def test_evidence_lies_in_the_span_and_is_in_the_order_shown(asked: list[tuple[Film, list[Sample]]]) -> None:
    for _, samples in asked:
        for sample in samples:
            shown = sample.frame_indexes
            places = [shown.index(14 * item.clip_index) if shown else item.clip_index for item in sample.evidence]
            assert all(one <= other for one, other in pairwise(places))
            for item in sample.evidence:
                assert sample.span_start_s <= item.start_s < item.end_s <= sample.span_end_s
            assert sample.min_frames >= 2
