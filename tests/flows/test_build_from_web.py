"""`build-vico` on addresses: what is fetched, what is left out and why, and what a killed run has left to do."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pipeline.sample_videos import sample_script, write_video
from schemas.reasons import Reason
from tests.builds import COMMAND, build_vico, built, clean_environment, data_bytes, rows
from tests.fault_server import FaultServer
from tests.fetch_server import VTT, FetchServer, fetch_server
from tests.film_site import FILM, PLUGIN, write_film
from tests.hls_files import write_hls
from tests.numbered_videos import write_numbered


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchServer]:
    folder = tmp_path_factory.mktemp("served")
    write_video(sample_script(3, 40), folder / "film.mp4")
    write_numbered(folder / "numbers.mp4", "constant", 500, 320, 180)
    write_hls(folder / "numbers.mp4", folder / "hls")
    write_numbered(folder / "small.mp4", "constant", 300, 320, 180)
    (folder / "small.vtt").write_text(VTT)
    write_film(folder, "film")
    (folder / "list.csv").write_text(
        "source,title,licence,domain\nfilm.mp4,A film,CC BY 4.0,documentary\nfile:///etc/passwd,x,,\n/etc/passwd,y,,\n")
    with fetch_server(folder, slow_bytes_per_s=30_000) as server:
        yield server


SITE = {"PYTHONPATH": str(PLUGIN)}
"""The way to yt-dlp's plugin for the site that this server plays."""


def _choices(server: FetchServer, out: Path) -> list[str]:
    return ["--out", str(out), "--allow-private-hosts", server.allowed, "--fetch-delay-seconds", "0",
            "--fetch-retry-seconds", "0.1", "--fetches", "2", "--fetch-height", "360"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def names(server: FetchServer) -> list[str]:
    return [server.url(path) for path in (
        "list.csv", "site/film", "page/film.mp4", "hls/master.m3u8", "status/404.mp4", "later/film.mp4?times=2",
        "text-as/x.mp4", "status/503.mp4")]


@pytest.fixture(scope="module")
def web_build(
    server: FetchServer, names: list[str], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("web") / "out"
    built(*names, *_choices(server, out), "--cache", cache, "--workers", "2", env=SITE)
    return out


def _reason(out: Path, server: FetchServer, path: str) -> set[str]:
    return {row["reason"] for row in rows(out, "rejected") if row["source"] == server.url(path)}


def test_each_video_is_there_once_with_what_is_known_of_it(web_build: Path, server: FetchServer) -> None:
    found = {row["source"]: row for row in rows(web_build, "videos")}
    assert set(found) == {server.url("film.mp4"), server.url("hls/master.m3u8"), server.url("site/film")}
    film = found[server.url("film.mp4")]
    assert (film["title"], film["license"], film["domain"]) == ("A film", "CC BY 4.0", "documentary")


def test_subtitles_are_part_of_the_clips(web_build: Path) -> None:
    said = [line for clip in rows(web_build, "clips") for line in clip["subtitles"]]
    assert said == [{"start_s": 1.0, "end_s": 3.0, "text": "A red square moves to the right.", "auto": False}] * 2


def test_what_a_site_says_fills_every_column(web_build: Path, server: FetchServer) -> None:
    film, = (row for row in rows(web_build, "videos") if row["source"] == server.url("site/film"))
    assert {name: film[name] for name in ("title", "uploader", "published", "license", "language", "domain")} == {
        "title": FILM["title"], "uploader": FILM["uploader"], "published": date(2024, 2, 29), "license": "cc-by",
        "language": "de", "domain": "Science & Technology"}
    assert film["chapters"] == [
        {"start_s": 0.0, "end_s": 1.0, "title": "Before"}, {"start_s": 1.0, "end_s": 2.0, "title": None}]


def test_a_spent_budget_stops_fetching(server: FetchServer, tmp_path: Path) -> None:
    """One fetch has no end; it is stopped when the other video has taken all that may be spent."""
    out = tmp_path / "out"
    with FaultServer() as models:
        done = build_vico(
            server.url("film.mp4"), server.url("drip/a.mp4"), *_choices(server, out), "--captioner", "served",
            "--caption-urls", models.url, "--caption-model", "m", "--max-tokens", "500")
    assert done.returncode == 4, done.stderr
    assert "the budget is spent" in done.stderr
    part, = out.glob(".work/cache/partial/*/media.part")
    assert part.stat().st_size > 0


@pytest.mark.parametrize(("path", "reasons"), [
    ("status/404.mp4", {Reason.NOT_FOUND}), ("status/503.mp4", {Reason.SERVER_FAULT}),
    ("text-as/x.mp4", {Reason.NOT_A_VIDEO}), ("list.csv", {Reason.ADDRESS_NOT_ALLOWED}),
    ("page/film.mp4", {Reason.SAME_BYTES}), ("later/film.mp4?times=2", {Reason.SAME_BYTES}),
])
def test_what_is_left_out_has_its_reason(
    web_build: Path, server: FetchServer, path: str, reasons: set[Reason]
) -> None:
    assert _reason(web_build, server, path) == reasons


def test_only_what_may_pass_is_tried_again(web_build: Path, server: FetchServer) -> None:
    assert len(server.asked("status/404.mp4")) == 1
    assert len(server.asked("status/503.mp4")) == 4


def test_another_build_with_the_same_cache_fetches_nothing_again(
    web_build: Path, server: FetchServer, names: list[str], cache: Path, tmp_path: Path
) -> None:
    before = len(server.asked("film.mp4")) + len(server.asked("hls/0.ts"))
    built(*reversed(names), *_choices(server, tmp_path / "out"), "--cache", cache, "--delete-source",
          env=SITE)
    assert len(server.asked("film.mp4")) + len(server.asked("hls/0.ts")) == before
    assert data_bytes(tmp_path / "out") == data_bytes(web_build)
    left = {path.name for path in cache.glob("videos/*/*")}
    assert left.isdisjoint(row["video_id"] for row in rows(web_build, "videos"))


def test_a_licence_can_be_demanded(server: FetchServer, tmp_path: Path) -> None:
    done = build_vico(server.url("hls/master.m3u8"), *_choices(server, tmp_path), "--licence", "cc-by")
    assert done.returncode == 3, done.stderr
    assert _reason(tmp_path, server, "hls/master.m3u8") == {Reason.NO_LICENCE}


def test_a_killed_fetch_is_gone_on_with(server: FetchServer, tmp_path: Path) -> None:
    """The file is complete, and its first part was not asked for again."""
    arguments = [server.url("slow/numbers.mp4"), *_choices(server, tmp_path / "out")]
    run = subprocess.Popen(
        [COMMAND, *arguments], env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        have = _wait_for_part(tmp_path, run)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    server.requests.clear()
    built(*arguments)
    starts = [int(asked[6:-1]) for asked in server.asked("slow/numbers.mp4") if asked]
    assert starts
    assert starts[-1] >= have
    assert [row["n_clips"] for row in rows(tmp_path / "out", "videos")] == [2]
    kept, = (tmp_path / "out").glob(".work/cache/videos/*/*")
    assert kept.read_bytes() == (server.folder / "numbers.mp4").read_bytes()


def _wait_for_part(folder: Path, run: subprocess.Popen) -> int:
    """How many bytes have arrived, once there are some."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for part in folder.glob("out/.work/cache/partial/*/media.part"):
            if part.stat().st_size > 20_000:
                return part.stat().st_size
        assert run.poll() is None
        time.sleep(0.02)
    raise AssertionError("nothing arrived")


@pytest.mark.parametrize(("arguments", "words"), [
    (["ftp://example.org/a.mp4"], "http, https, s3, gs and hf are"),
    (["https://example.org/a.mp4", "--allow-private-hosts", "localhost"], "expected 10.0.0.0/8"),
    (["https://example.org/a.mp4", "--cookies", "gone.txt"], "gone.txt"),
    (["https://example.org/a.mp4", "--proxy", "example.org"], "socks5://HOST:PORT"),
])
def test_what_cannot_be_done_is_told_before_any_work(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = build_vico(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert words in done.stderr
