"""What a build is told once holds for the next one, but for what no longer makes sense, what is each run's, and
secrets."""

from pathlib import Path

import pytest

from pipeline.build_request import BucketsFixedError, inherited_choices, with_fixed_buckets, write_request
from schemas.build_config import BuildConfig


def test_a_build_goes_on_with_what_the_last_one_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_request(tmp_path, BuildConfig(
        captioner="file", captions=["words.jsonl"], captions_complete=True, clip_seconds=5, workers=3,
        scratch="here", proxy="http://user:secret@host:1"))
    again = BuildConfig(**inherited_choices(tmp_path, {}))
    assert (again.clip_seconds, again.captions_complete, again.workers, again.scratch) == (5, True, 1, None)
    assert again.captions == [str(tmp_path / "words.jsonl")]
    assert "secret" not in (tmp_path / "request.json").read_text()


def test_a_budget_bounds_all_runs_until_another_is_given(tmp_path: Path) -> None:
    write_request(tmp_path, BuildConfig(max_tokens=10, max_cost=2.5, caption_price_in=1))
    again = BuildConfig(**inherited_choices(tmp_path, {}))
    assert (again.max_tokens, again.max_cost, again.caption_price_in) == (10, 2.5, 1)
    said = {"max_tokens": 20, "max_cost": None}
    other = BuildConfig(**(inherited_choices(tmp_path, said) | said))
    assert (other.max_tokens, other.max_cost) == (20, None)


@pytest.mark.parametrize(("before", "now"), [
    ({"captioner": "file", "captions": ["words.jsonl"], "captions_complete": True}, {"captioner": "measured"}),
    ({"captioner": "served", "caption_urls": ["http://a/v1"], "caption_model": "m", "calibrate": 0.5,
      "orderer": "served", "blind": "served"}, {"captioner": "measured", "orderer": "clock"}),
])
def test_another_captioner_does_not_inherit_what_went_with_the_last(
    tmp_path: Path, before: dict[str, object], now: dict[str, object]
) -> None:
    write_request(tmp_path, BuildConfig(**before))
    merged = BuildConfig(**(inherited_choices(tmp_path, now) | now))
    assert (merged.captioner, merged.captions, merged.calibrate) == ("measured", [], 0.0)


def test_the_number_of_shards_is_that_of_the_first_build(tmp_path: Path) -> None:
    assert with_fixed_buckets(BuildConfig(buckets=7), tmp_path).buckets == 7
    write_request(tmp_path, BuildConfig(buckets=4))
    assert with_fixed_buckets(BuildConfig(), tmp_path).buckets == 4
    with pytest.raises(BucketsFixedError, match="fixed it at 4"):
        with_fixed_buckets(BuildConfig(buckets=7), tmp_path)
