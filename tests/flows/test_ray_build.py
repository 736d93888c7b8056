"""Videos made on a Ray cluster of two nodes, one of which dies on the way: the bytes are those of one machine alone."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.open_data_set import open_data_set
from pipeline.sample_videos import sample_script, write_video
from pipeline.shared_files import ObjectFiles
from tests.builds import COMMAND, clean_environment, data_bytes, journal
from tests.fault_server import FaultServer
from tests.object_store import BUCKET, published_bytes, s3_server
from tests.ray_cluster import Cluster, cluster

pytest.importorskip("prefect_ray")

VIDEOS = 4
# As tests.stages chooses them, and the cluster.
CHOICES = ("--captioner", "served", "--orderer", "served", "--caption-model", "m", "--shuffled-share", "1",
           "--caption-frames", "2", "--clip-seconds", "4", "--buckets", "4", "--request-seconds", "5",
           "--picture-questions", "0", "--blind", "built-in")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny videos, five clips each."""
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(VIDEOS):
        write_video(replace(sample_script(seed=seed, duration_s=20), width=160, height=90), folder / f"{seed}.mp4")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    """Slow enough that most of the time of a build is waiting for it: whatever dies then, dies in a stage."""
    with FaultServer(delay_s=(1.0, 1.5)) as server:
        yield server


@pytest.fixture(scope="module")
def unbroken(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    with FaultServer() as server:
        subprocess.run([sys.executable, "-m", "tests.stages", str(videos), str(out), server.url],
                       env=clean_environment(), cwd=Path(__file__).parents[2], timeout=300, check=True)
    return data_bytes(out)


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    with s3_server() as variables:
        yield variables


@pytest.fixture(scope="module")
def ray(s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), 2, **s3) as made:
        yield made


def _start(ray: Cluster, videos: Path | str, server: FaultServer, out: str, own: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [COMMAND, str(videos), "--out", out, "--ray", ray.address, *CHOICES, "--caption-urls", server.url],
        env=clean_environment(TMPDIR=str(own)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)


def _wait_until(process: subprocess.Popen, what: Callable[[], bool], seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _in_work(out: Path) -> set[str]:
    """The products that somebody is writing, or was when he died."""
    return {path.name for path in (out / ".work" / "scratch").glob("*")}


def test_a_node_that_dies_has_its_videos_made_elsewhere(
    ray: Cluster, videos: Path, server: FaultServer, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = _start(ray, videos, server, str(out), tmp_path)
    _wait_until(process, lambda: len([name for name in _in_work(out) if name.startswith(("captions", "clues"))]) == 2)
    ray.nodes[0].kill()
    left = _in_work(out)
    said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert data_bytes(out) == unbroken
    assert {line["item"] for line in journal(out) if line["event"] == "done" and line["stage"] == "video"} == {
        f"{number}.mp4" for number in range(VIDEOS)}
    # What the dead node was at lies about, and was made by the other one.
    assert len(left & _in_work(out)) == 1
    assert not list((out / ".work" / "runs").rglob("*"))


def test_nodes_that_share_no_folder_meet_in_an_object_store(
    ray: Cluster, videos: Path, server: FaultServer, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    """Each node has a temporary folder of its own; the machine of the command has a third."""
    ray.nodes[0].kill()
    dying, out = ray.add_node(), f"s3://{BUCKET}/one"
    process = _start(ray, videos, server, out, tmp_path)
    _wait_until(process, lambda: any(dying.own.rglob(".work/scratch/captions-*")))
    dying.kill()
    said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert published_bytes(out) == unbroken
    objects = ObjectFiles(out)
    assert len([name for name in objects.names(".work/decode") if name.endswith(".tar")]) == VIDEOS
    assert len(objects.names(".work/answers")) == 2 * VIDEOS
    assert json.loads(objects.read(objects.names("manifests")[-1]))["rows"]["videos"] == VIDEOS


def test_the_command_is_told_to_stop_and_then_killed(
    ray: Cluster, videos: Path, server: FaultServer, unbroken: dict[str, bytes], tmp_path: Path, long_tests: bool
) -> None:
    """Its nodes finish what is in hand, or end with it; the next command goes on."""
    if not long_tests:
        pytest.skip("VICO_LONG_TESTS=1 runs it")
    if not any(node.process.poll() is None for node in ray.nodes):
        ray.add_node()
    out = tmp_path / "out"
    process = _start(ray, videos, server, str(out), tmp_path)
    _wait_until(process, lambda: any(name.startswith("captions") for name in _in_work(out)))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=900)
    assert process.returncode == 4, said
    assert "it was told to stop" in said
    assert len(list((out / ".work" / "captions").iterdir())) < VIDEOS
    assert not _in_work(out)
    process = _start(ray, videos, server, str(out), tmp_path)
    _wait_until(process, lambda: any(name.startswith("captions") for name in _in_work(out)))
    process.kill()
    process.communicate()
    process = _start(ray, videos, server, str(out), tmp_path)
    said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert data_bytes(out) == unbroken


def test_nodes_fetch_what_they_work_on(
    ray: Cluster, videos: Path, server: FaultServer, tmp_path: Path, long_tests: bool
) -> None:
    if not long_tests:
        pytest.skip("VICO_LONG_TESTS=1 runs it")
    if not any(node.process.poll() is None for node in ray.nodes):
        ray.add_node()
    films, out = ObjectFiles(f"s3://{BUCKET}/films"), f"s3://{BUCKET}/fetched"
    for video in videos.iterdir():
        films.create_from(video.name, video)
    process = _start(ray, f"{films.address}/", server, out, tmp_path)
    said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    with open_data_set(out) as connection:
        found = connection.execute("SELECT source, n_clips FROM videos ORDER BY source").fetchall()
    assert found == [(films.url(f"{number}.mp4"), 5) for number in range(VIDEOS)]
    assert len([path for node in ray.nodes for path in node.own.rglob("cache/videos/*/*")]) == VIDEOS
    assert not list(tmp_path.rglob("cache/videos/*/*"))
