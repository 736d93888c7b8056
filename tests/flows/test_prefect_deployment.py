"""The flow as a deployment: a real Prefect server, a real worker, the commands of the README."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from flows.bare_deployment_name import full_name
from pipeline.sample_videos import sample_script, write_captions, write_video

REPOSITORY = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")


class Prefect:
    """A server and a worker, and a way to run Prefect's command against them."""

    def __init__(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
            "PREFECT_HOME": str(home), "PREFECT_API_URL": self.url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1"}
        self.home = home
        self.processes: list[subprocess.Popen] = []

    def start(self, *arguments: str) -> None:
        log = (self.home / f"{arguments[0]}.log").open("wb")
        self.processes.append(subprocess.Popen(
            [PREFECT, *arguments], env=self.environment, cwd=REPOSITORY, stdout=log, stderr=log))

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [PREFECT, "--no-prompt", *arguments], env=self.environment, cwd=REPOSITORY, capture_output=True, text=True,
            timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace")[-3000:] for path in self.home.glob("*.log"))

    def ask(self, path: str, body: dict) -> list[dict]:
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(self.logs())

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    prefect = Prefect(tmp_path_factory.mktemp("prefect"))
    prefect.start("server", "start", "--host", "127.0.0.1", "--port", str(prefect.port), "--no-ui")
    try:
        prefect.wait_until_healthy()
        prefect.run("work-pool", "create", "local", "--type", "process")
        prefect.run("deploy", "--all")
        prefect.start("worker", "start", "--pool", "local", "--type", "process")
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
