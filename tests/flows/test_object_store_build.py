"""Data sets built into an object store, by machines that know nothing of each other."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.build_vico_command import run
from pipeline.published_set import newest
from pipeline.sample_videos import sample_script, write_video
from pipeline.shared_files import ObjectFiles
from tests.builds import data_bytes, journal, rows
from tests.object_store import BUCKET, published_bytes, s3_server
from tests.one_prefect import Builder, builder

OUT = f"s3://{BUCKET}/grown"
CHOICES = ("--clip-seconds", "4", "--buckets", "4")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture(scope="module")
def build(server: None) -> Iterator[Builder]:
    with builder() as started:
        yield started


def test_a_data_set_grows_from_another_machine(build: Builder, tmp_path: Path) -> None:
    videos = [tmp_path / f"{seed}.mp4" for seed in range(2)]
    for seed, video in enumerate(videos):
        write_video(replace(sample_script(seed=seed, duration_s=20), width=160, height=90), video)
    build.build(*videos, "--out", tmp_path / "plain", *CHOICES)
    build.build(videos[0], "--out", OUT, "--scratch", tmp_path / "one", *CHOICES)
    build.build(videos[1], "--out", OUT, "--scratch", tmp_path / "other", "--clip-seconds", "4")
    assert published_bytes(OUT) == data_bytes(tmp_path / "plain")
    (own,) = (tmp_path / "other").iterdir()
    assert {(line["item"], line["event"]) for line in journal(own) if line["stage"] == "decode"} == {
        ("0.mp4", "reused"), ("1.mp4", "started"), ("1.mp4", "progress"), ("1.mp4", "done")}
    # The first machine hears of it, and takes a video out everywhere.
    ids = [row["video_id"] for row in rows(tmp_path / "plain", "videos", ["video_id"])]
    build.build("--out", OUT, "--scratch", tmp_path / "one", "--forget", ids[0])
    build.build("--out", tmp_path / "plain", "--forget", ids[0])
    assert published_bytes(OUT) == data_bytes(tmp_path / "plain")
    objects = ObjectFiles(OUT)
    assert {*objects.names("data")} == {file["path"] for file in newest(objects).manifest["files"]}
    assert len(objects.names(".work/decode")) == 1


@pytest.mark.parametrize(("arguments", "said"), [
    (("--out", "s3://no-such-bucket/set"), "no-such-bucket"),
    (("--out", "nosuch://bucket/set"), "nosuch"),
    (("--out", "s3://no-such-bucket/set", "--keep-clips"), "no-such-bucket"),
    (("--out", "memory://set", "--keep-clips"), "writes files into a folder"),
    (("--out", "out", "--ray", "127.0.0.1:1"), "nobody answers there"),
    (("--out", "out", "--ray", "head"), "host:port"),
    (("--out", "out", "--ray", "127.0.0.1:1", "--max-tokens", "5"), "ray"),
])
def test_calls_that_cannot_work_are_refused_at_once(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert run(["a.mp4", *arguments, "--scratch", "own"]) == 2
    assert said in capsys.readouterr().err
