"""What can be chosen, and what cannot."""

import pytest
from pydantic import ValidationError

from schemas.build_config import BuildConfig
from schemas.source_choices import HOW_FETCHED


@pytest.mark.parametrize(("choices", "complaint"), [
    ({"captioner": "file"}, "needs at least one caption file"),
    ({"captions": ["a.jsonl"]}, "does not read them"),
    ({"captioner": "oracle"}, "'measured', 'file' or 'served'"),
    ({"captioner": "served", "caption_urls": ["http://host/v1"]}, "needs the model's name"),
    ({"captioner": "served", "caption_model": "m"}, "needs a server"),
    ({"orderer": "served"}, "needs the model's name"),
    ({"orderer": "served", "order_model": "m"}, "needs a server"),
    ({"caption_urls": ["host:8000"]}, "looks like http"),
    ({"caption_urls": ["http://me:secret@host/v1"]}, "no place in a URL"),
    ({"order_urls": ["http://host/v1?key=secret"]}, "no place in a URL"),
    ({"max_cost": 1}, "needs prices"),
    ({"clip_seconds": 1}, "no clip would be left"),
    ({"clip_seconds": 0}, "greater than 0"),
    ({"clip_seconds": float("nan")}, "clip_seconds"),
    ({"spans_minutes": [3, 0]}, "every span"),
    ({"spans_minutes": [float("inf")]}, "every span"),
    ({"test_share": 1.5}, "less than or equal to 1"),
    ({"calibrate": 0.02}, "captioner 'measured'"),
    ({"calibrate": 0.02, "captioner": "file", "captions": ["a"]}, "captioner 'file'"),
    ({"blind": "served"}, "--orderer served"),
    ({"clip_secnods": 3}, "Extra inputs are not permitted"),
])
def test_what_makes_no_sense_is_refused(choices: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        BuildConfig(**choices)


def test_spans_are_sorted_and_each_is_there_once() -> None:
    assert BuildConfig(spans_minutes=[10, 3, 10]).spans_minutes == [3, 10]


def test_how_a_build_runs_is_no_part_of_what_it_makes() -> None:
    plain = BuildConfig().without_machine()
    assert BuildConfig(workers=3, decode_threads=2, stall_seconds=5).without_machine() == plain
    assert BuildConfig(seed=1).without_machine() != plain
    assert set(BuildConfig.model_fields) - set(plain) == {
        "workers", "ray", "scratch", "decode_threads", "stall_seconds", "caption_urls", "order_urls", "embedding_urls",
        "answers",
        "requests_in_flight", "request_seconds", "give_up_seconds", "max_tokens", "max_cost", "exclude"} | HOW_FETCHED
