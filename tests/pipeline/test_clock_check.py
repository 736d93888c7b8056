"""The clock check passes what every kind makes of clues in order, and nothing that was tampered with."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock_check import Ground, agrees_with_clock
from pipeline.kinds.all_kinds import KINDS
from pipeline.kinds.draft import Draft, Material, phrase
from pipeline.questions import ask_about
from pipeline.spans import Span
from schemas.build_config import BuildConfig
from schemas.records import Clue, Evidence, Sample
from tests.scripted_films import Film, scripted_film

SPAN = Span(0, 59, 0.0, 840.0)
ORDERED = ("order_events", "came_next", "came_before", "first_or_last", "what_follows")


def _clues(starts: list[int]) -> list[Clue]:
    """Clues of half a clip each, at the start of the given clips."""
    return [
        Clue(clue_id=f"c{clip}", video_id="v", clip_indexes=[clip], start_s=14.0 * clip, end_s=14.0 * clip + 7,
             text=f"{'abcdefgh'[clip % 8] * 3}{clip}  {'ijklmnop'[clip // 8] * 3}{clip}\nq{clip}.", kind="event",
             sentences=[], orderer="clock", kept=True, similarity=0.1)
        for clip in starts]


def _material(clues: list[Clue]) -> Material:
    return Material(span=SPAN, clues=clues, clips=(), captions={})


def _sample(draft: Draft) -> Sample:
    evidence = [Evidence(clue_id=clue, clip_index=clip, start_s=14.0 * clip, end_s=14.0 * (clip + 1))
                for clue, clip in draft.evidence]
    return Sample(
        sample_id="s", video_id="v", kind=draft.kind, format="multiple_choice", question=draft.question,
        options=list(draft.options), answer=draft.answer, answer_index=draft.answer_index, span_start_s=SPAN.start_s,
        span_end_s=SPAN.end_s, min_frames=2, evidence=evidence, distance_s=None, similarity=0, orderer="clock",
        captioner="file")


def _ground(clues: list[Clue]) -> Ground:
    return Ground({phrase(clue): (clue.start_s, clue.end_s) for clue in clues})


def _drafts(kind: str, clues: list[Clue], seed: int, count: int = 5) -> list[Draft]:
    rng = np.random.default_rng(seed)
    made = [KINDS[kind](_material(clues), rng) for _ in range(count)]
    return [draft for draft in made if draft is not None]


clip_choices = st.lists(st.integers(0, 59), min_size=4, max_size=12, unique=True).map(sorted)


@pytest.mark.parametrize("kind", [*ORDERED, "when", "which_minute", "storyline"])
@settings(deadline=None, max_examples=30)
@given(clips=clip_choices, seed=st.integers(0, 1000))
def test_what_is_made_of_clues_in_order_agrees(kind: str, clips: list[int], seed: int) -> None:
    clues = _clues(clips)
    for draft in _drafts(kind, clues, seed):
        assert agrees_with_clock(_sample(draft), _ground(clues))


@pytest.mark.parametrize("kind", [*ORDERED, "when", "which_minute"])
@settings(deadline=None, max_examples=30)
@given(clips=clip_choices, seed=st.integers(0, 1000))
def test_any_other_option_disagrees(kind: str, clips: list[int], seed: int) -> None:
    clues = _clues(clips)
    for draft in _drafts(kind, clues, seed):
        sample = _sample(draft)
        for index, option in enumerate(sample.options):
            wrong = replace(sample, answer=option, answer_index=index)
            assert agrees_with_clock(wrong, _ground(clues)) == (index == sample.answer_index)


@pytest.mark.parametrize("kind", ["order_events", "came_next", "came_before", "first_or_last", "storyline"])
@settings(deadline=None, max_examples=30)
@given(clips=clip_choices, seed=st.integers(0, 1000))
def test_the_same_words_with_the_clock_turned_round_disagree(kind: str, clips: list[int], seed: int) -> None:
    clues = _clues(clips)
    turned = Ground({text: (840 - end, 840 - start) for text, (start, end) in _ground(clues).times.items()})
    for draft in _drafts(kind, clues, seed):
        assert not agrees_with_clock(_sample(draft), turned)


def test_an_index_that_points_elsewhere_disagrees() -> None:
    clues = _clues([0, 10, 20, 30, 40])
    for kind in ORDERED:
        for draft in _drafts(kind, clues, 1):
            moved = replace(_sample(draft), answer_index=(draft.answer_index + 1) % len(draft.options))
            assert not agrees_with_clock(moved, _ground(clues))


def test_two_right_orders_among_the_options_disagree() -> None:
    clues = _clues([0, 10, 20, 30])
    draft = _drafts("order_events", clues, 1)[0]
    doubled = replace(_sample(draft), options=[draft.answer, draft.answer], answer_index=0)
    assert not agrees_with_clock(doubled, _ground(clues))


@pytest.fixture(scope="module")
def film() -> Film:
    return scripted_film(seed=5, clips=60, repeated=12)


def test_every_other_option_of_every_kind_disagrees(film: Film) -> None:
    """Twins left out: their clips are shown at other times."""
    config = BuildConfig(captioner="file", captions=["x"], captions_complete=True, twin_share=0)
    times = {text: when[0] for text, when in film.happenings.items()}
    times |= {caption.actions[0]: (14.0 * index, 14.0 * index + 14) for index, caption in film.subject.captions.items()}
    kinds = set()
    for sample in ask_about(config, film.subject).samples.values():
        inside = [clip for clip in film.subject.clips
                  if sample.span_start_s <= clip.start_s and clip.end_s <= sample.span_end_s]
        ground = Ground(times, inside, film.subject.captions)
        kinds.add(sample.kind)
        for index, option in enumerate(sample.options):
            said = replace(sample, answer=option, answer_index=index)
            assert agrees_with_clock(said, ground) == (index == sample.answer_index), (sample.kind, sample.question)
    assert kinds == {*KINDS, "describe"}


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_clues_give_no_question(kind: str) -> None:
    assert _drafts(kind, _clues([0]), 0) == []
    assert _drafts(kind, [], 0) == []
