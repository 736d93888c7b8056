"""The plan against what is known by arithmetic, and against a build of the same files."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from flows.looks import look
from pipeline.plan import Assumed, Length, Rates, lengths, make_plan, read_rates
from pipeline.plan_requests import RequestSizes, caption_tokens
from pipeline.questions import ask_about, most_with_options
from pipeline.sample_videos import sample_script, write_video
from pipeline.sources import find_sources
from schemas.build_config import BuildConfig
from tests.fault_server import FaultServer
from tests.numbered_videos import write_numbered
from tests.scripted_films import scripted_film
from tests.seeing_server import SeeingModel
from tests.stages import run_stages

RATES = Rates(
    measured_by="", measured_on="", decode_cpu_s_per_megapixel=0.01, other_cpu_s_per_video_s=0.5,
    work_bytes_per_video_s=1000, shard_bytes_per_video_s=500, clip_files_cpu_s_per_megapixel=0.02,
    clip_files_bytes_per_megapixel=30)
SERVED = BuildConfig(captioner="served", orderer="served", caption_urls=["http://x/v1"], caption_model="m", workers=4,
                     caption_price_in=1.0, caption_price_out=10.0, blind="built-in", shuffled_share=0)


def _assumed(rate: float | None = 2.0) -> Assumed:
    sizes = RequestSizes(image_tokens=100, answer_tokens=50, clues_per_clip=1)
    return Assumed(servers=5, server_requests_per_second=rate, sizes=sizes, minutes_of_unknown=10)


def test_a_plan_is_arithmetic() -> None:
    """An hour of a million pixels a second: 257 clips of 14 s and one of 2 s, in chapters of 48 that share 8."""
    plan = make_plan(SERVED, [Length(3600, 1e6)], RATES, _assumed())
    assert (plan.videos, plan.hours, plan.clips, plan.needles) == (1, 1.0, 258, 0)
    assert plan.requests_for == {"captions": 258, "clue order": 7, "picture check": 4 * 258}
    assert plan.requests == sum(plan.requests_for.values())
    assert plan.answer_tokens > 258 * 50
    assert plan.cpu_s == pytest.approx(3600 * 0.01 + 1800)
    assert plan.workers_s == pytest.approx(plan.cpu_s / 4)
    tokens = plan.prompt_tokens + plan.answer_tokens
    assert plan.servers_s == pytest.approx(tokens / caption_tokens(SERVED, _assumed().sizes) / 2 / 5)
    assert plan.wall_s == plan.workers_s
    assert plan.disk_bytes == 3600 * 1500
    assert plan.cost >= 258 * (8 * 100 + 10 * 50) / 1e6


def test_planted_copies_take_their_share_and_questions_are_asked_eight_times() -> None:
    """Forty clips have ten needles; half of the videos have a copy."""
    films = [Length(560, 1e6)] * 4
    once = make_plan(SERVED, films, RATES, _assumed())
    planted = make_plan(SERVED.model_copy(update={"calibrate": 0.5}), films, RATES, _assumed())
    assert (planted.clips, planted.needles) == (160, 20)
    for name in ("requests", "prompt_tokens", "cost", "disk_bytes", "cpu_s", "servers_s"):
        assert getattr(planted, name) == pytest.approx(1.5 * getattr(once, name)), name
    asked = make_plan(SERVED.model_copy(update={"blind": "served"}), films, RATES, _assumed())
    assert asked.requests_for["blind check"] == 8 * 4 * most_with_options(SERVED, 40)


@pytest.mark.parametrize("clips", [1, 13, 43, 129])
def test_no_video_has_more_to_guess_than_planned(clips: int) -> None:
    film = scripted_film(clips, clips)
    asked = ask_about(BuildConfig(twin_share=0), film.subject).samples.values()
    assert sum(sample.format == "multiple_choice" for sample in asked) <= most_with_options(BuildConfig(), clips)


def test_a_plan_foresees_what_a_build_asks(tmp_path: Path) -> None:
    """Captions and chapters to the last one; checks, which depend on what the model says, at most."""
    video = tmp_path / "film.mp4"
    write_video(replace(sample_script(seed=5, duration_s=48), width=160, height=90), video)
    model = SeeingModel()
    with FaultServer(say=model) as server:
        config = BuildConfig(
            captioner="served", orderer="served", caption_urls=[server.url], caption_model="m", clip_seconds=3,
            shuffled_share=0, chapter_clips=6, caption_frames=4, picture_questions=3)
        run_stages(video, tmp_path / "out", config)
    plan = make_plan(config, lengths(find_sources([str(video)]), 30), RATES, _assumed())
    asked = Counter(model.asked)
    assert plan.requests_for["captions"] == asked["clip"] == 16
    assert plan.requests_for["clue order"] == asked["clues"]
    assert 0 < asked["seen"] <= plan.requests_for["picture check"]
    assert 0 < asked["blind"] <= plan.requests_for["blind check"]


def test_clip_files_take_cpu_and_disk_by_their_pixels() -> None:
    lengths_of_two = [Length(3600, 1e6), Length(1800, 4e6)]
    plain = make_plan(BuildConfig(), lengths_of_two, RATES, _assumed())
    keeping = make_plan(BuildConfig(keep_clips=True), lengths_of_two, RATES, _assumed())
    assert keeping.cpu_s - plain.cpu_s == pytest.approx((3600 + 4 * 1800) * 0.02)
    assert keeping.disk_bytes - plain.disk_bytes == pytest.approx((3600 + 4 * 1800) * 30)


def test_nothing_is_guessed_that_must_be_given() -> None:
    plan = make_plan(SERVED, [Length(3600, 1e6), None, Length(0, 0)], RATES, _assumed(None))
    assert (plan.servers_s, plan.wall_s, plan.videos, plan.unknown, plan.unreadable) == (None, None, 2, 1, 1)
    own = make_plan(BuildConfig(), [Length(3600, 1e6)], RATES, _assumed(None))
    assert (own.requests, own.cost, own.servers_s, own.wall_s) == (0, 0.0, 0.0, own.workers_s)


def test_lengths_are_those_of_the_files(tmp_path: Path) -> None:
    shown = write_numbered(tmp_path / "a.mp4", "constant", 100, 320, 180)
    (tmp_path / "b.mp4").write_text("no video")
    (tmp_path / "c.ogv").write_bytes(b"OggS\0\2" + bytes(20))  # FFmpeg says that it ends too early
    one, *none = lengths(find_sources([str(tmp_path)]), 30)
    assert [length.seconds for length in none] == [0, 0]
    assert one.seconds == pytest.approx(float(shown[-1].time) + 0.04, abs=0.05)
    assert one.pixels_per_second == pytest.approx(320 * 180 * 25)


def test_the_command_plans_hours_and_says_what_it_reckons_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert look(["--plan", "--hours", "1000", "--captioner", "served", "--servers", "3", "--json",
                 "--server-requests-per-second", "4", "--workers", "8"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["hours"] == 1000
    assert 0 < plan["servers_s"] < plan["requests"] / 12  # most requests are smaller than captions
    assert look(["--plan", "--hours", "1", "--captioner", "served"]) == 0
    assert "give --server-requests-per-second" in capsys.readouterr().out
    assert look(["--plan", "nowhere.mp4"]) == 2
    assert read_rates().measured_by.startswith("python benchmarks/")
