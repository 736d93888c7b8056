"""Builds against a model server that fails on purpose, killed, stopped by a budget, and made again from answers."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.answer_store import AnswerStore
from pipeline.sample_videos import sample_script, write_video
from tests.builds import COMMAND, build_vico, built, clean_environment, data_bytes, journal, rows
from tests.fault_server import FaultServer, right_answer

KEY = "sk-planted-c0ffee"
CHOICES = ("--captioner", "served", "--orderer", "served", "--caption-model", "m", "--shuffled-share", "1",
           "--caption-frames", "4", "--chapter-clips", "6", "--clip-seconds", "5", "--request-seconds", "2")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 50 s: 30 clips."""
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(3):
        write_video(sample_script(seed=seed, duration_s=50), folder / f"{seed}.mp4")
    return folder


@pytest.fixture(scope="module")
def clean(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The build that meets no fault. Read only."""
    out = tmp_path_factory.mktemp("clean") / "out"
    with FaultServer() as server:
        built(videos, "--out", out, *CHOICES, "--caption-urls", server.url)
    yield out


def manifest(out: Path) -> dict[str, Any]:
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def test_a_served_build_says_what_it_rests_on(clean: Path) -> None:
    clips, clues = rows(clean, "clips"), rows(clean, "clues")
    assert len(clips) == 30
    assert {(clip["captioner"], clip["model"], clip["prompt"]) for clip in clips} == {("served", "m", "caption.v1")}
    assert len({clip["answer_key"] for clip in clips}) == 30
    assert {(clue["orderer"], clue["model"], clue["prompt"]) for clue in clues} == {("served", "m", "clue_order.v1")}
    assert len(rows(clean, "samples")) > 20
    served = manifest(clean)["served"]
    assert {row["prompt"]: row["questions"] for row in served["usage"]} == {
        "caption.v1": 30, "clue_order.v1": 6, "shuffled_order.v1": 6}
    assert served["order"] == [{"model": "m", "given": len(clues), "against_clock": 0}]
    assert served["shuffled"]["videos"] == 3
    assert -1 <= served["shuffled"]["kendall_tau"] <= 1
    assert "Kendall's tau" in (clean / "README.md").read_text(encoding="utf-8")


def test_faults_cost_retries_and_nothing_else(videos: Path, clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with FaultServer(fault_share=0.2, seed=1, delay_s=(0.0, 0.2), key=KEY) as server:
        done = built(videos, "--out", out, *CHOICES, "--caption-urls", server.url, "--workers", "2",
                     env={"VICO_CAPTION_API_KEY": KEY})
        outcomes = server.outcomes()
    assert len([kind for kind in outcomes if kind != "answered"]) >= 4, outcomes
    assert data_bytes(out) == data_bytes(clean)
    counts = [line["counts"] for line in journal(out) if line["stage"] == "requests"]
    assert sum(count["sent"] for count in counts) >= sum(outcomes.values())
    held = subprocess.run(["grep", "-rlF", KEY, out], text=True, capture_output=True, check=False)
    assert held.stdout == ""
    assert KEY not in done.stdout + done.stderr


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


def test_a_change_asks_again_for_just_that(videos: Path, clean: Path, tmp_path: Path) -> None:
    def asked(*more: str) -> Counter[str]:
        with FaultServer() as server:
            built(videos, "--out", tmp_path / "out", *CHOICES, "--answers", clean, "--caption-urls", server.url, *more)
            return Counter(seen.schema_name for seen in server.seen)

    assert asked() == Counter()
    assert asked("--order-model", "other") == {"clues": 6, "order": 6}
    assert asked("--jpeg-quality", "80")["clip"] == 30


def test_a_budget_stops_with_a_whole_data_set_and_can_be_raised(videos: Path, clean: Path, tmp_path: Path) -> None:
    """A caption is 120 tokens and room for 64 at most, so 2200 tokens are enough for a video and not for two."""
    out = tmp_path / "out"
    choices = (*CHOICES, "--caption-tokens", "64", "--order-context-tokens", "4096")
    with FaultServer(delay_s=0.05) as server:
        done = build_vico(videos, "--out", out, *choices, "--caption-urls", server.url, "--max-tokens", "2800")
        assert done.returncode == 4, done.stderr
        assert "raise --max-tokens" in done.stderr
        first = len(server.seen)
        assert 120 * first <= 2800
        assert 1 <= manifest(out)["rows"]["videos"] < 3
        assert len(rows(out, "clips")) == 10 * manifest(out)["rows"]["videos"]
        same = build_vico(videos, "--out", out, *choices, "--caption-urls", server.url, "--max-tokens", "2800")
        assert same.returncode == 4
        assert 120 * len(server.seen) <= 2800
        built(videos, "--out", out, *choices, "--caption-urls", server.url)
        assert len(server.seen) == 42
        assert len({seen.key for seen in server.seen}) == 42
    assert len(rows(out, "clips")) == 30


def test_a_server_that_says_the_same_of_everything_is_noticed(videos: Path, tmp_path: Path) -> None:
    def say(said: dict[str, Any]) -> str:
        return json.dumps({
            "setting": "", "subjects": [], "actions": [], "key_events": [], "on_screen_text": [],
            "sentences": ["A person stands in a room."]})

    with FaultServer(say=say) as server:
        done = build_vico(videos / "0.mp4", "--out", tmp_path / "out", *CHOICES, "--caption-urls", server.url)
    assert done.returncode == 3
    assert Counter(row["reason"] for row in rows(tmp_path / "out", "rejected"))["caption_repeated"] == 10


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
        built(videos / "0.mp4", "--out", tmp_path / "out", *CHOICES, "--caption-urls", server.url)
    assert len(spoilt) == 3
    left_out = [row for row in rows(tmp_path / "out", "rejected") if row["stage"] == "captions"]
    assert [(row["reason"], row["raw"]) for row in left_out] == [
        ("answer_unusable", "I am sorry, but I cannot help with that.")]
    assert len(rows(tmp_path / "out", "clips")) == 9


def test_killed_at_any_moment_it_asks_nothing_twice_that_was_stored(
    videos: Path, clean: Path, tmp_path: Path, long_tests: bool
) -> None:
    """The kills come while requests are on their way: after so many more have reached the server."""
    kills, dice = (20 if long_tests else 6), random.Random(5)
    out = tmp_path / "out"
    with FaultServer(delay_s=(0.05, 0.4)) as server:
        command = [COMMAND, videos, "--out", out, *CHOICES, "--caption-urls", server.url, "--requests-in-flight", "3"]
        for _ in range(kills):
            stored = _stored(out)
            before = len(server.seen)
            process = subprocess.Popen(
                command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True)
            _wait_for(server, before + dice.randint(1, 2 if long_tests else 5), process)
            time.sleep(dice.uniform(0, 0.3))
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
