"""Builds against a model server that fails on purpose, killed, stopped by a budget, and made again from answers."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.answer_store import AnswerStore
from pipeline.sample_videos import sample_script, write_video
from schemas.build_config import BuildConfig
from tests.builds import COMMAND, build_vico, built, clean_environment, data_bytes, journal, rows
from tests.fault_server import KINDS, FaultServer, right_answer
from tests.stages import run_stages

KEY = "sk-planted-c0ffee"
CHOICES = ("--captioner", "served", "--orderer", "served", "--caption-model", "m", "--shuffled-share", "1",
           "--caption-frames", "4", "--chapter-clips", "6", "--clip-seconds", "5", "--request-seconds", "2",
           "--picture-questions", "0", "--blind", "built-in")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 40 s: 16 clips."""
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(2):
        write_video(sample_script(seed=seed, duration_s=40), folder / f"{seed}.mp4")
    return folder


@pytest.fixture(scope="module")
def clean(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build that meets no fault. Read only."""
    out = tmp_path_factory.mktemp("clean") / "out"
    with FaultServer() as server:
        built(videos, "--out", out, *CHOICES, "--caption-urls", server.url)
    return out


def config(server: FaultServer, **more: Any) -> BuildConfig:
    """The same choices for one server."""
    choices = {"caption_model": "m", "shuffled_share": 1, "caption_frames": 4, "chapter_clips": 6, "clip_seconds": 5,
               "request_seconds": 2, "picture_questions": 0, "blind": "built-in", "caption_urls": [server.url]}
    return BuildConfig(captioner="served", orderer="served", **choices | more)


def manifest(out: Path) -> dict[str, Any]:
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def test_a_served_build_says_what_it_rests_on(clean: Path) -> None:
    clips, clues = rows(clean, "clips"), rows(clean, "clues")
    assert len(clips) == 16
    assert {(clip["captioner"], clip["model"], clip["prompt"]) for clip in clips} == {("served", "m", "caption.v1")}
    assert len({clip["answer_key"] for clip in clips}) == 16
    assert {(clue["orderer"], clue["model"], clue["prompt"]) for clue in clues} == {("served", "m", "clue_order.v1")}
    assert len(rows(clean, "samples")) > 10
    served = manifest(clean)["served"]
    assert {row["prompt"]: row["questions"] for row in served["usage"]} == {
        "caption.v1": 16, "clue_order.v1": 4, "shuffled_order.v1": 4}
    assert served["order"] == [{"model": "m", "given": len(clues), "against_clock": 0}]
    assert served["shuffled"]["videos"] == 2
    assert -1 <= served["shuffled"]["kendall_tau"] <= 1
    assert "Kendall's tau" in (clean / "README.md").read_text(encoding="utf-8")


def test_faults_cost_retries_and_nothing_else(videos: Path, tmp_path: Path, long_tests: bool) -> None:
    """28 requests a build and 20 % faults, every kind of which must have come."""
    outcomes: Counter[str] = Counter()
    choices = {"clip_seconds": 2, "min_last_clip_seconds": 1, "request_seconds": 1}
    with FaultServer() as server:
        run_stages(videos / "0.mp4", tmp_path / "clean", config(server, **choices))
    for seed in range(12 if long_tests else 3):
        out = tmp_path / f"{seed}"
        with FaultServer(fault_share=0.2, seed=4 * seed, delay_s=(0.0, 0.1), key=KEY) as server:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("VICO_CAPTION_API_KEY", KEY)
                run_stages(videos / "0.mp4", out, config(server, **choices))
            outcomes += server.outcomes()
        assert data_bytes(out) == data_bytes(tmp_path / "clean")
    assert set(outcomes) == {"answered", *KINDS}


def test_the_key_is_found_nowhere(videos: Path, clean: Path, tmp_path: Path) -> None:
    """Neither in what is written, Prefect's database and logs among it, nor in what is said."""
    out = tmp_path / "out"
    with FaultServer(fault_share=0.3, kinds=("429", "500", "503"), key=KEY, retry_after="0") as server:
        done = built(videos, "--out", out, *CHOICES, "--caption-urls", server.url, "--workers", "2",
                     env={"VICO_CAPTION_API_KEY": KEY, "PREFECT_LOGGING_LEVEL": "DEBUG"})
        assert len(server.outcomes()) > 1
    assert data_bytes(out) == data_bytes(clean)
    held = subprocess.run(["grep", "-rlF", KEY, out], text=True, capture_output=True, check=False)
    assert held.stdout == ""
    assert KEY not in done.stdout + done.stderr
    counts = [line["counts"] for line in journal(out) if line["stage"] == "requests"]
    assert len(counts) == 2
    for count in counts:
        assert count["sent"] == sum(number for what, number in count.items() if what != "sent")


def test_answers_rebuild_the_data_set_without_a_model(videos: Path, clean: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (clean / ".work" / "answers").iterdir()}
    out = tmp_path / "out"
    built(videos, "--out", out, *CHOICES, "--answers", clean)
    assert data_bytes(out) == data_bytes(clean)
    assert manifest(out) == manifest(clean)
    assert not (out / ".work" / "answers").exists()
    assert {path: path.stat().st_mtime_ns for path in (clean / ".work" / "answers").iterdir()} == before


def test_without_a_server_a_missing_answer_leaves_the_video_for_later(
    videos: Path, clean: Path, tmp_path: Path
) -> None:
    done = build_vico(videos, "--out", tmp_path / "out", *CHOICES, "--answers", clean, "--temperature", "0.5")
    assert done.returncode == 4
    assert "no stored answer" in done.stderr
    wrong = build_vico(videos, "--out", tmp_path / "out", *CHOICES, "--answers", tmp_path)
    assert wrong.returncode == 2
    assert "holds no stored answers" in wrong.stderr


def test_a_wrong_key_is_a_wrong_call_that_is_noticed_at_the_first_answer(videos: Path, tmp_path: Path) -> None:
    with FaultServer(key="another") as server:
        done = build_vico(
            videos, "--out", tmp_path / "out", *CHOICES, "--caption-urls", server.url,
            env={"VICO_CAPTION_API_KEY": KEY})
        assert done.returncode == 2, done.stderr
        assert "answers 401" in done.stderr
        assert "set VICO_CAPTION_API_KEY" in done.stderr
        assert KEY not in done.stderr + done.stdout
        assert Counter(seen.outcome for seen in server.seen).total() <= 2 * 8  # of both videos, each clip once


def test_servers_that_are_down_leave_the_videos_for_later(videos: Path, clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    choices = (*CHOICES, "--give-up-seconds", "1")
    done = build_vico(videos, "--out", out, *choices, "--caption-urls", "http://127.0.0.1:9/v1")
    assert done.returncode == 4, done.stderr
    assert "Start the server again" in done.stderr
    with FaultServer() as server:
        built(videos, "--out", out, *CHOICES, "--caption-urls", server.url)
    assert data_bytes(out) == data_bytes(clean)


def test_captions_tell_how_far_they_are(videos: Path, tmp_path: Path) -> None:
    with FaultServer(delay_s=0.8) as server:
        run_stages(videos / "0.mp4", tmp_path / "out", config(server, requests_in_flight=2))
    shares = [line["share"] for line in journal(tmp_path / "out")
              if line["event"] == "progress" and line["stage"] == "captions"]
    assert len(shares) >= 2
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1


def test_a_change_asks_again_for_just_that(videos: Path, clean: Path, tmp_path: Path) -> None:
    def asked(**more: Any) -> Counter[str]:
        with FaultServer() as server:
            run_stages(videos / "0.mp4", tmp_path / "out", config(server, answers=[str(clean)], **more))
            return Counter(seen.schema_name for seen in server.seen)

    assert asked() == Counter()
    assert asked(order_model="other") == {"clues": 2, "order": 2}
    assert asked(caption_tokens=1000)["clip"] == 8
    assert asked(jpeg_quality=80)["clip"] == 8


def test_a_budget_stops_with_a_whole_data_set_and_can_be_raised(videos: Path, clean: Path, tmp_path: Path) -> None:
    """An answer takes 120 tokens, and a film 8 + 2 + 2 of them."""
    out = tmp_path / "out"
    choices = (*CHOICES, "--caption-tokens", "64", "--order-context-tokens", "4096")
    with FaultServer(delay_s=0.02) as server:
        for _ in range(2):  # the same command again does not spend it again
            done = build_vico(videos, "--out", out, *choices, "--caption-urls", server.url, "--max-tokens", "2700")
            assert done.returncode == 4, done.stderr
            assert "raise --max-tokens" in done.stderr
            assert 1800 < 120 * len(server.seen) <= 2700
            assert manifest(out)["rows"]["videos"] == 1
            assert len(rows(out, "clips")) == 8
        built(videos, "--out", out, *choices, "--caption-urls", server.url, "--max-tokens", "100000")
        assert len(server.seen) == len({seen.key for seen in server.seen}) == 24
    assert len(rows(out, "clips")) == 16


def test_a_server_that_says_the_same_of_everything_is_noticed(videos: Path, tmp_path: Path) -> None:
    def say(said: dict[str, Any]) -> str:
        return json.dumps({
            "setting": "", "subjects": [], "actions": [], "key_events": [], "on_screen_text": [],
            "sentences": ["A person stands in a room."]})

    with FaultServer(say=say) as server:
        run_stages(videos / "0.mp4", tmp_path / "out", config(server))
    assert Counter(row["reason"] for row in rows(tmp_path / "out", "rejected"))["caption_repeated"] == 8


def test_a_model_that_never_answers_in_shape_fails_its_clips_only(videos: Path, clean: Path, tmp_path: Path) -> None:
    spoilt: list[str] = []

    def say(said: dict[str, Any]) -> str:
        pictures = json.dumps(said["messages"][0]["content"])
        name = said["response_format"]["json_schema"]["name"]
        if name == "clip" and (not spoilt or pictures in spoilt):
            spoilt.append(pictures)
            return "I am sorry, but I cannot help with that."
        return right_answer(said)

    with FaultServer(say=say) as server:
        run_stages(videos / "0.mp4", tmp_path / "out", config(server))
    assert len(spoilt) == 3
    left_out = [row for row in rows(tmp_path / "out", "rejected") if row["stage"] == "captions"]
    assert [(row["reason"], row["raw"]) for row in left_out] == [
        ("answer_unusable", "I am sorry, but I cannot help with that.")]
    assert len(rows(tmp_path / "out", "clips")) == 7


def test_killed_at_any_moment_it_asks_nothing_twice_that_was_stored(
    videos: Path, clean: Path, tmp_path: Path, long_tests: bool
) -> None:
    """The kills come while requests are on their way: after so many more have reached the server."""
    kills, dice = (20 if long_tests else 4), random.Random(5)
    out = tmp_path / "out"
    with FaultServer(delay_s=(0.05, 0.4)) as server:
        command = [COMMAND, videos, "--out", out, *CHOICES, "--caption-urls", server.url, "--requests-in-flight", "3"]
        for _ in range(kills):
            stored = _stored(out)
            before = len(server.seen)
            process = subprocess.Popen(
                command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True)
            _wait_for(server, before + dice.randint(1, 2 if long_tests else 4), process)
            time.sleep(dice.uniform(0, 0.3))
            with contextlib.suppress(ProcessLookupError):  # it may be done already
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert {seen.key for seen in server.seen[before:]} & stored == set()
        built(*command[1:])
        asked = Counter(seen.key for seen in server.seen)
    assert data_bytes(out) == data_bytes(clean)
    # Each kill may cost what was in flight, three at most, and nothing else.
    assert sum(asked.values()) - len(asked) <= 3 * kills


def _stored(out: Path) -> set[str]:
    """Keys of the answers that are on the disk whole."""
    return set(AnswerStore(out / ".work" / "answers").own_keys)


def _wait_for(server: FaultServer, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while len(server.seen) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
