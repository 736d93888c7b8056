"""The clock check passes what every kind makes of clues in order, and nothing that was tampered with."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock_check import Times, agrees_with_clock
from pipeline.question_kinds import ORDER_KINDS, Draft
from pipeline.spans import Span
from schemas.records import Clue, Evidence, Sample

SPAN = Span(0, 59, 0.0, 840.0)


def _clues(starts: list[int]) -> list[Clue]:
    """Clues of half a clip each, at the start of the given clips."""
    return [
        Clue(clue_id=f"c{clip}", video_id="v", clip_indexes=[clip], start_s=14.0 * clip, end_s=14.0 * clip + 7,
             text=f"Thing {clip}  happens\nin clip {clip}.", kind="event", sentences=[], orderer="clock", kept=True,
             similarity=0.1)
        for clip in starts]


def _sample(draft: Draft) -> Sample:
    evidence = [Evidence(clue_id=clue, clip_index=clip, start_s=14.0 * clip, end_s=14.0 * (clip + 1))
                for clue, clip in draft.evidence]
    return Sample(
        sample_id="s", video_id="v", kind=draft.kind, format="open", question=draft.question,
        options=list(draft.options), answer=draft.answer, answer_index=draft.answer_index, span_start_s=SPAN.start_s,
        span_end_s=SPAN.end_s, min_frames=2, evidence=evidence, distance_s=None, similarity=0, orderer="clock",
        captioner="file")


def _times(clues: list[Clue]) -> Times:
    return {" ".join(clue.text.split()): (clue.start_s, clue.end_s) for clue in clues}


def _drafts(kind: str, clues: list[Clue], seed: int, count: int = 5) -> list[Draft]:
    made = ORDER_KINDS[kind](SPAN, clues, np.random.default_rng(seed))
    return [draft for draft, _ in zip(made, range(count), strict=False)]


clip_choices = st.lists(st.integers(0, 59), min_size=4, max_size=12, unique=True).map(sorted)


@pytest.mark.parametrize("kind", ORDER_KINDS)
@settings(deadline=None, max_examples=30)
@given(clips=clip_choices, seed=st.integers(0, 1000))
def test_what_is_made_of_clues_in_order_agrees(kind: str, clips: list[int], seed: int) -> None:
    clues = _clues(clips)
    for draft in _drafts(kind, clues, seed):
        assert agrees_with_clock(_sample(draft), _times(clues))


@pytest.mark.parametrize("kind", ["order_events", "came_next", "came_before", "when"])
@settings(deadline=None, max_examples=30)
@given(clips=clip_choices, seed=st.integers(0, 1000))
def test_any_other_option_disagrees(kind: str, clips: list[int], seed: int) -> None:
    clues = _clues(clips)
    for draft in _drafts(kind, clues, seed):
        sample = _sample(draft)
        for index, option in enumerate(sample.options):
            wrong = replace(sample, answer=option, answer_index=index)
            assert agrees_with_clock(wrong, _times(clues)) == (index == sample.answer_index)


@pytest.mark.parametrize("kind", ["order_events", "came_next", "came_before", "storyline"])
@settings(deadline=None, max_examples=30)
@given(clips=clip_choices, seed=st.integers(0, 1000))
def test_the_same_words_with_the_clock_turned_round_disagree(kind: str, clips: list[int], seed: int) -> None:
    clues = _clues(clips)
    turned = {text: (840 - end, 840 - start) for text, (start, end) in _times(clues).items()}
    for draft in _drafts(kind, clues, seed):
        assert not agrees_with_clock(_sample(draft), turned)


def test_an_index_that_points_elsewhere_disagrees() -> None:
    clues = _clues([0, 10, 20, 30, 40])
    for kind in ("order_events", "came_next", "came_before"):
        for draft in _drafts(kind, clues, 1):
            moved = replace(_sample(draft), answer_index=(draft.answer_index + 1) % len(draft.options))
            assert not agrees_with_clock(moved, _times(clues))


def test_two_right_orders_among_the_options_disagree() -> None:
    clues = _clues([0, 10, 20, 30])
    draft = _drafts("order_events", clues, 1)[0]
    doubled = replace(_sample(draft), options=[draft.answer, draft.answer], answer_index=0)
    assert not agrees_with_clock(doubled, _times(clues))


@pytest.mark.parametrize("kind", ORDER_KINDS)
def test_kinds_make_every_question_once_and_end(kind: str) -> None:
    clues = _clues([0, 10, 20, 30, 41])
    questions = [draft.question + str(draft.options) for draft in _drafts(kind, clues, 0, count=10_000)]
    assert 0 < len(questions) < 1000
    assert len(set(questions)) == len(questions)
    assert _drafts(kind, clues[:1] if kind != "when" else [], 0) == []
