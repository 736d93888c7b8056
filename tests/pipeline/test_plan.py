"""The plan against what is known by arithmetic, and against a build of the same files."""

import json
from pathlib import Path

import pytest

from flows.looks import look
from pipeline.plan import Assumed, Length, Rates, lengths, make_plan, read_rates
from pipeline.sources import find_sources
from schemas.build_config import BuildConfig
from tests.numbered_videos import write_numbered

RATES = Rates(
    measured_by="", measured_on="", decode_cpu_s_per_megapixel=0.01, other_cpu_s_per_video_s=0.5,
    work_bytes_per_video_s=1000, shard_bytes_per_video_s=500, clip_files_cpu_s_per_megapixel=0.02,
    clip_files_bytes_per_megapixel=30)
SERVED = BuildConfig(captioner="served", orderer="served", caption_urls=["http://x/v1"], caption_model="m", workers=4,
                     caption_price_in=1.0, caption_price_out=10.0)


def _assumed(rate: float | None = 2.0) -> Assumed:
    return Assumed(servers=5, server_requests_per_second=rate, image_tokens=100, answer_tokens=50,
                   minutes_of_unknown=10)


def test_a_plan_is_arithmetic() -> None:
    """An hour of a million pixels a second: 257 clips of 14 s and one of 2 s, in chapters of 48 that share 8."""
    plan = make_plan(SERVED, [Length(3600, 1e6)], RATES, _assumed())
    assert (plan.videos, plan.hours, plan.clips) == (1, 1.0, 258)
    assert plan.requests == 258 + 7
    assert plan.answer_tokens > 258 * 50
    assert plan.cpu_s == pytest.approx(3600 * 0.01 + 1800)
    assert plan.workers_s == pytest.approx(plan.cpu_s / 4)
    assert plan.servers_s == pytest.approx(265 / 2 / 5)
    assert plan.wall_s == plan.workers_s
    assert plan.disk_bytes == 3600 * 1500
    assert plan.cost >= 258 * (8 * 100 + 10 * 50) / 1e6


def test_clip_files_take_cpu_and_disk_by_their_pixels() -> None:
    lengths_of_two = [Length(3600, 1e6), Length(1800, 4e6)]
    plain = make_plan(BuildConfig(), lengths_of_two, RATES, _assumed())
    keeping = make_plan(BuildConfig(keep_clips=True), lengths_of_two, RATES, _assumed())
    assert keeping.cpu_s - plain.cpu_s == pytest.approx((3600 + 4 * 1800) * 0.02)
    assert keeping.disk_bytes - plain.disk_bytes == pytest.approx((3600 + 4 * 1800) * 30)


def test_nothing_is_guessed_that_must_be_given() -> None:
    plan = make_plan(SERVED, [Length(3600, 1e6), None], RATES, _assumed(None))
    assert (plan.servers_s, plan.wall_s, plan.unknown) == (None, None, 1)
    own = make_plan(BuildConfig(), [Length(3600, 1e6)], RATES, _assumed(None))
    assert (own.requests, own.cost, own.servers_s, own.wall_s) == (0, 0.0, 0.0, own.workers_s)


def test_lengths_are_those_of_the_files(tmp_path: Path) -> None:
    shown = write_numbered(tmp_path / "a.mp4", "constant", 100, 320, 180)
    (tmp_path / "b.mp4").write_text("no video")
    one, none = lengths(find_sources([str(tmp_path)]), 30)
    assert none is None
    assert one.seconds == pytest.approx(float(shown[-1].time) + 0.04, abs=0.05)
    assert one.pixels_per_second == pytest.approx(320 * 180 * 25)


def test_the_command_plans_hours_and_says_what_it_reckons_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert look(["--plan", "--hours", "1000", "--captioner", "served", "--servers", "3", "--json",
                 "--server-requests-per-second", "4", "--workers", "8"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["hours"] == 1000
    assert plan["servers_s"] == pytest.approx(plan["requests"] / 12)
    assert look(["--plan", "--hours", "1", "--captioner", "served"]) == 0
    assert "give --server-requests-per-second" in capsys.readouterr().out
    assert look(["--plan", "nowhere.mp4"]) == 2
    assert read_rates().measured_by.startswith("python benchmarks/")
