"""Spans, splits, likeness, sentences: small rules with properties of their own."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.likeness import WordLikeness
from pipeline.sentences import split_sentences, telling_words
from pipeline.spans import clip_runs, spans_of
from pipeline.splits import bucket_of, split_of
from schemas.records import Clip, Measures

MEASURES = Measures(
    motion=0, brightness=0, colours=[], colour_shares={}, moving_share=0, direction=None, brightness_change=0)
CLIP_S = 14.0


def _clips(indexes: list[int]) -> list[Clip]:
    return [Clip(clip_id=f"v-{i}", video_id="v", clip_index=i, start_s=CLIP_S * i, end_s=CLIP_S * (i + 1), cuts_s=[],
                 frames_expected=1, frames_decoded=1, measures=MEASURES, caption_frames_s=[]) for i in indexes]


present = st.sets(st.integers(0, 400), min_size=1, max_size=300).map(sorted)


# ---- Spans


@settings(deadline=None, max_examples=100)
@given(present, st.sampled_from([[3.0], [3.0, 10.0, 30.0], [0.1], []]))
def test_spans_are_cut_on_clips_and_end_with_the_whole(indexes: list[int], minutes: list[float]) -> None:
    clips = {clip.clip_index: clip for clip in _clips(indexes)}
    *parts, whole = spans_of(list(clips.values()), minutes, CLIP_S)
    assert (whole.start_s, whole.end_s) == (clips[indexes[0]].start_s, clips[indexes[-1]].end_s)
    for span in parts:
        inside = [clip for index, clip in clips.items() if span.first_clip <= index <= span.last_clip]
        assert (span.start_s, span.end_s) == (inside[0].start_s, inside[-1].end_s)
        length = (span.last_clip - span.first_clip + 1) * CLIP_S
        assert any(minutes * 60 / 2 - CLIP_S <= length <= minutes * 60 + CLIP_S for minutes in minutes)
        assert length < 0.8 * (indexes[-1] + 1) * CLIP_S + CLIP_S


@settings(deadline=None, max_examples=50)
@given(present, st.sampled_from([3.0, 10.0]))
def test_spans_of_one_length_do_not_overlap(indexes: list[int], minutes: float) -> None:
    *parts, _ = spans_of(_clips(indexes), [minutes], CLIP_S)
    assert all(one.last_clip < other.first_clip for one, other in itertools.pairwise(parts))


def test_spans_of_a_film_worked_out_by_hand() -> None:
    """100 clips of 14 s: three minutes are 13 clips, so 7 whole spans and 9 clips (more than half) at the end;
    ten minutes are 43 clips, so two spans, and 14 clips are too few; thirty are longer than the film."""
    spans = [(span.first_clip, span.last_clip) for span in spans_of(_clips(list(range(100))), [3, 10, 30], CLIP_S)]
    assert spans == [*((13 * i, 13 * i + 12) for i in range(7)), (91, 99), (0, 42), (43, 85), (0, 99)]


@settings(deadline=None, max_examples=100)
@given(present, st.integers(1, 6))
def test_a_run_lacks_no_clip(indexes: list[int], length: int) -> None:
    runs = list(clip_runs(_clips(indexes), length))
    covered = [index for run in runs for index in range(run.first_clip, run.last_clip + 1)]
    assert len(covered) == len(set(covered)) == len(runs) * length
    assert set(covered) <= set(indexes)
    starts = range(0, indexes[-1] + 1, length)
    assert len(runs) == sum(set(range(first, first + length)) <= set(indexes) for first in starts)


# ---- Splits


def test_splits_have_their_share_and_buckets_are_even() -> None:
    ids = [f"{number:032x}" for number in range(20_000)]
    share = sum(split_of(video_id, 0.1) == "test" for video_id in ids) / len(ids)
    assert share == pytest.approx(0.1, abs=0.01)
    counts = [0] * 8
    for video_id in ids:
        counts[bucket_of(video_id, 8)] += 1
    assert min(counts) > 0.9 * len(ids) / 8


@given(st.text(min_size=1, max_size=40), st.integers(1, 1000))
def test_a_bucket_is_a_bucket(video_id: str, buckets: int) -> None:
    assert 0 <= bucket_of(video_id, buckets) < buckets


@given(st.text(min_size=1, max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_test_split_holds_the_smaller(video_id: str, one: float, other: float) -> None:
    if split_of(video_id, min(one, other)) == "test":
        assert split_of(video_id, max(one, other)) == "test"
    assert split_of(video_id, 0) == "train"
    assert split_of(video_id, 1) == "test"


# ---- Likeness


words = st.lists(st.sampled_from("dog cat ball river lamp runs falls red blue the a of".split()), max_size=6)
texts = st.lists(words.map(" ".join), min_size=1, max_size=6)


@settings(deadline=None, max_examples=100)
@given(texts, st.data())
def test_likeness_is_a_share_and_grows_with_documents_compared(documents: list[str], data: st.DataObject) -> None:
    likeness = WordLikeness(documents)
    text = data.draw(words.map(" ".join))
    left_out = frozenset(data.draw(st.sets(st.integers(0, len(documents) - 1))))
    some, every = likeness.highest(text, left_out), likeness.highest(text, frozenset())
    assert 0 <= some <= every <= 1


@settings(deadline=None, max_examples=100)
@given(texts)
def test_what_is_said_again_is_like_itself(documents: list[str]) -> None:
    likeness = WordLikeness(documents)
    for document in documents:
        assert likeness.highest(document, frozenset()) == pytest.approx(1)


def test_what_no_other_says_is_unlike() -> None:
    likeness = WordLikeness(["A dog runs.", "A cat sleeps.", "The river is red."])
    assert likeness.highest("A dog runs.", frozenset({0})) == 0
    assert likeness.highest("The and of", frozenset()) == 1, "a text that says nothing is like everything"


def test_rare_words_weigh_more_than_common_ones() -> None:
    likeness = WordLikeness(["ball red", "ball blue", "ball lamp", "river"])
    assert likeness.highest("ball red", frozenset({0})) < likeness.highest("ball red", frozenset({1, 2, 3}))
    assert likeness.highest("ball red", frozenset({0})) < 0.5


# ---- Sentences


@pytest.mark.parametrize(("text", "sentences"), [
    ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
    ("It costs 3.5 euros. Yes.", ["It costs 3.5 euros.", "Yes."]),
    ("犬が走る。猫が寝る。", ["犬が走る。", "猫が寝る。"]),
    ("  \n ", []),
])
def test_sentences_are_split_where_they_end(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text(max_size=80))
def test_no_letter_is_lost_in_splitting(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_words_that_say_nothing_do_not_count() -> None:
    assert telling_words("The DOG and the Ball of it") == {"dog", "ball"}
    assert telling_words("男人在河边 walks.") == {"男人", "人在", "在河", "河边", "walks"}
    assert telling_words("猫 Über") == {"猫", "über"}
