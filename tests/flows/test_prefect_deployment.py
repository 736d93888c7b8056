"""The flow as a deployment: a real Prefect server, a real worker, the commands of the README."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from flows.bare_deployment_name import full_name
from flows.build_status import read_status
from pipeline.output_lock import running_build
from pipeline.sample_videos import sample_script, write_captions, write_video
from tests.builds import data_bytes, journal
from tests.fault_server import FaultServer
from tests.killing import CONFIG, stages_command, start, tiny_videos, wait_until
from tests.prefect_server import PREFECT, REPOSITORY, Prefect


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    prefect = Prefect(tmp_path_factory.mktemp("prefect"))
    try:
        prefect.serve()
        prefect.run("work-pool", "create", "local", "--type", "process")
        prefect.run("deploy", "--all")
        prefect.start_worker()
        yield prefect
    finally:
        prefect.stop()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    script = sample_script(seed=3, duration_s=60)
    write_video(script, folder / "film.mp4")
    write_captions(script, folder / "film.jsonl", "film.mp4")
    return folder


@pytest.mark.parametrize("name", ["build-vico", "build-vico/build-vico"])
def test_deployment_runs(prefect: Prefect, film: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    config = {"captioner": "file", "captions": [str(film / "film.jsonl")]}
    prefect.run(
        "deployment", "run", name, "--param", f"sources={json.dumps([str(film / 'film.mp4')])}",
        "--param", f"out={json.dumps(str(out))}", "--param", f"config={json.dumps(config)}", "--watch")

    (count,) = duckdb.sql(f"SELECT count(*) FROM read_parquet('{out}/data/samples/*.parquet')").fetchall()[0]
    manifest = json.loads((out / "manifest.json").read_text())
    assert count == manifest["rows"]["samples"] > 0

    run = prefect.ask("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    assert run["state"]["type"] == "COMPLETED"
    assert run["parameters"]["sources"] == [str(film / "film.mp4")]
    artifacts = prefect.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    by_type: dict[str, list[dict]] = {}
    for artifact in artifacts:
        by_type.setdefault(artifact["type"], []).append(artifact)
    assert [artifact["data"] for artifact in by_type["progress"]] == [100.0]
    tables = "".join(artifact["data"] for artifact in by_type["table"])
    assert f'"samples", "rows": {count}' in tables
    assert '"source": "film.mp4"' in tables
    page = out / "report" / "index.html"
    assert page.is_file()
    words = {artifact["key"]: artifact["data"] for artifact in by_type["markdown"]}
    assert page.as_uri() in words["build-vico-report"]
    assert out.as_uri() in words["build-vico-output"]


def test_wrong_source_fails_the_run(prefect: Prefect, tmp_path: Path) -> None:
    done = subprocess.run(
        [PREFECT, "deployment", "run", "build-vico", "--param", 'sources=["/nowhere/film.mp4"]',
         "--param", f"out={json.dumps(str(tmp_path / 'out'))}", "--watch"],
        env=prefect.environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    run = prefect.ask("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    assert run["state"]["type"] == "FAILED"
    assert "no such file or folder" in run["state"]["message"]
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_full_name_keeps_what_is_full() -> None:
    assert full_name("build-vico") == "build-vico/build-vico"
    assert full_name("a/b") == "a/b"


def test_bare_name_is_only_taught_in_this_repository(prefect: Prefect, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    done = subprocess.run(
        [PREFECT, "deployment", "run", "build-vico"], env=prefect.environment, cwd=tmp_path, capture_output=True,
        text=True, timeout=120)
    assert done.returncode != 0
    assert "Invalid deployment name format" in done.stdout + done.stderr


def test_killed_workers_servers_and_runs_lose_nothing(prefect: Prefect, tmp_path: Path, long_tests: bool) -> None:
    """Whatever is killed, the run ends soon, and the same deployment run goes on to the bytes of an unbroken build."""
    videos, out, dice = tiny_videos(tmp_path / "videos"), tmp_path / "out", random.Random(3)
    server, worker = prefect.processes[:2]
    with FaultServer(delay_s=(0.05, 0.4)) as models:
        unbroken = start(*stages_command(videos, tmp_path / "unbroken", models.url))
        words = unbroken.communicate(timeout=300)[1]
        assert unbroken.returncode == 0, words
        run = ("deployment", "run", "build-vico", "--param", f"sources={json.dumps([str(videos)])}",
               "--param", f"out={json.dumps(str(out))}",
               "--param", f"config={json.dumps(CONFIG | {'caption_urls': [models.url]})}")
        for number in range(12 if long_tests else 3):
            shutil.rmtree(out / ".work" / "decode", ignore_errors=True)
            lines = len(journal(out))
            prefect.run(*run)
            least = lines + dice.randrange(4, 18)
            wait_until(worker, lambda least=least: len(journal(out)) >= least)
            match ("worker and run", "server", "worker", "run")[number % 4]:
                case "worker and run":
                    os.killpg(worker.pid, signal.SIGKILL)
                    worker = _started_again(worker, prefect.start_worker)
                case "worker":
                    os.kill(worker.pid, signal.SIGKILL)
                    worker = _started_again(worker, prefect.start_worker)
                case "server":
                    os.killpg(server.pid, signal.SIGKILL)
                    server = _started_again(server, prefect.serve)
                case "run":
                    os.kill(running_build(out), signal.SIGKILL)
            _wait_until_idle(out)
        prefect.run(*run, "--watch")
    assert data_bytes(out) == data_bytes(tmp_path / "unbroken")
    assert read_status(out).finished


def _started_again(killed: subprocess.Popen, again: Callable[[], subprocess.Popen]) -> subprocess.Popen:
    killed.wait()
    return again()


def _wait_until_idle(out: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while running_build(out) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
