"""yt-dlp itself against a server on this machine: what works, and every way in which it does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.decode import read_facts
from pipeline.fetch import fetch
from pipeline.fetch_request import MEDIA, Fetched, FetchError, FetchRequest, Listing
from pipeline.killable_worker import KillableWorker, WorkerStalledError
from schemas.reasons import Reason
from tests.fetch_server import FetchServer, canary, fetch_server
from tests.hls_files import write_hls
from tests.numbered_videos import write_numbered
from tests.worker_memory import peak_mb

FRAMES = 500
LARGEST = 5_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchServer]:
    folder = tmp_path_factory.mktemp("served")
    write_numbered(folder / "good.mp4", "constant", FRAMES, 320, 180)
    write_hls(folder / "good.mp4", folder / "hls")
    with fetch_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def _request(server: FetchServer, path: str, **more: Any) -> FetchRequest:
    choices = {
        "height": 720, "max_bytes": LARGEST, "max_duration_s": 3600.0, "deadline_s": 60.0, "max_entries": 10,
        "languages": ("en",), "allowed_hosts": (server.allowed,)}
    return FetchRequest(url=path if "://" in path[:8] else server.url(path), **(choices | more))


def _fetch(
    worker: KillableWorker, server: FetchServer, path: str, folder: Path, stall_seconds: float = 30, **more: Any
) -> Fetched | Listing:
    return worker.run(fetch, _request(server, path, **more), folder, stall_seconds=stall_seconds)


@pytest.mark.parametrize("path", ["good.mp4", "redirect/good.mp4", "page/good.mp4?title=A+film"])
def test_a_file_arrives_whole_by_every_way(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, path: str
) -> None:
    fetched = _fetch(worker, server, path, tmp_path)
    assert (tmp_path / MEDIA).read_bytes() == (server.folder / "good.mp4").read_bytes()
    assert fetched.facts.title == ("A film (1)" if "page" in path else None)


@pytest.mark.parametrize("path", ["hls/master.m3u8", "hls/picture.m3u8"])
def test_a_stream_of_segments_has_all_its_frames(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, path: str
) -> None:
    fetched = _fetch(worker, server, path, tmp_path)
    assert len(read_facts(str(tmp_path / MEDIA)).ticks) == FRAMES
    assert [(one.language, one.auto) for one in fetched.subtitles] == ([("en", False)] if "master" in path else [])
    for one in fetched.subtitles:
        assert "A red square" in (tmp_path / one.name).read_text()


def test_no_name_of_a_stranger_becomes_part_of_a_path(
    worker: KillableWorker, server: FetchServer, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "100%(title)s"
    folder.mkdir(parents=True)
    fetched = _fetch(worker, server, "page/good.mp4?language=../../evil&title=../../../%25(id)s%00evil", folder)
    assert {path.name for path in folder.iterdir()} == {MEDIA, "subtitles.vtt"}
    assert [path.name for path in tmp_path.rglob("*") if "evil" in path.name] == []
    assert fetched.subtitles[0].language is None


@pytest.mark.parametrize(("path", "reason"), [
    ("missing.mp4", Reason.NOT_FOUND), ("status/410.mp4", Reason.NOT_FOUND),
    ("status/403.mp4", Reason.ACCESS_DENIED), ("status/401.mp4", Reason.ACCESS_DENIED),
    ("status/429.mp4", Reason.TOO_MANY_REQUESTS), ("status/503.mp4", Reason.SERVER_FAULT),
    ("status/500.mp4", Reason.SERVER_FAULT), ("loop/1.mp4", Reason.REDIRECT_LOOP),
    ("redirect/x?to=file:///etc/passwd", Reason.ADDRESS_NOT_ALLOWED),
    ("redirect/x?to=ftp://127.0.0.1/x", Reason.ADDRESS_NOT_ALLOWED),
    ("endless/a.mp4", Reason.TOO_MANY_BYTES), ("endless/a.html", Reason.TOO_MANY_BYTES),
    ("bomb/a.html", Reason.TOO_MANY_BYTES), ("claims-huge/a.mp4", Reason.TOO_MANY_BYTES),
    ("half/good.mp4", Reason.FETCH_BROKE_OFF), ("wrong-length/good.mp4?by=1000", Reason.FETCH_BROKE_OFF),
    ("plain-page/a.html", Reason.NO_VIDEO_THERE), ("live/a.m3u8", Reason.LIVE_STREAM),
    ("drm/a.m3u8", Reason.COPY_PROTECTED), ("http://127.0.0.1:1/a.mp4", Reason.PRIVATE_ADDRESS),
    ("http://no-such-host.invalid/a.mp4", Reason.SERVER_UNREACHABLE),
])
def test_every_fault_has_its_reason(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, path: str, reason: Reason
) -> None:
    with pytest.raises(FetchError) as caught:
        _fetch(worker, server, path, tmp_path)
    assert caught.value.reason is reason
    assert "/" not in caught.value.detail.replace("https://", "")
    assert not (tmp_path / MEDIA).exists()


def test_a_server_says_when_to_come_again(worker: KillableWorker, server: FetchServer, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        _fetch(worker, server, "status/429.mp4", tmp_path)
    assert caught.value.may_pass
    assert caught.value.wait_s == 1.0


def test_a_wrong_length_that_is_too_short_cuts_the_file(
    worker: KillableWorker, server: FetchServer, tmp_path: Path
) -> None:
    """Nobody can know; the decoder finds it, and says that the file ends early or has no index."""
    _fetch(worker, server, "wrong-length/good.mp4?by=-1000", tmp_path)
    assert (tmp_path / MEDIA).stat().st_size == (server.folder / "good.mp4").stat().st_size - 1000


def test_a_silent_server_is_given_up(server: FetchServer, tmp_path: Path) -> None:
    worker = KillableWorker()
    with pytest.raises(WorkerStalledError):
        _fetch(worker, server, "silent/a.mp4", tmp_path, stall_seconds=4)
    worker.close()


def test_a_server_that_drips_is_given_up(worker: KillableWorker, server: FetchServer, tmp_path: Path) -> None:
    """It is never silent, so only the clock can end it."""
    with pytest.raises(FetchError) as caught:
        _fetch(worker, server, "drip/a.mp4", tmp_path, deadline_s=2)
    assert caught.value.reason is Reason.FETCH_TOO_LONG


@pytest.mark.parametrize("way", ["redirect", "segment", "name", "redirect to a name", "directly"])
def test_nothing_leads_to_an_address_that_is_not_public(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, way: str
) -> None:
    """The server's own address and port are allowed; the canary sits on another port, then on another address."""
    for host in ("127.0.0.1", "127.0.0.2"):
        with canary(host) as bird:
            there = f"http://{host}:{bird.port}/a.ts"
            named = f"http://localhost:{bird.port}/a.mp4"
            path = {
                "redirect": f"redirect/x?to={there}", "segment": f"playlist-to/x.m3u8?to={there}", "name": named,
                "redirect to a name": f"redirect/x?to={named}", "directly": there,
            }[way]
            with pytest.raises(FetchError) as caught:
                _fetch(worker, server, path, tmp_path)
        assert caught.value.reason is Reason.PRIVATE_ADDRESS
        assert bird.visits == []


def test_neither_do_subtitles(worker: KillableWorker, server: FetchServer, tmp_path: Path) -> None:
    with canary() as bird:
        fetched = _fetch(worker, server, f"page/good.mp4?words=http://127.0.0.1:{bird.port}/a.vtt", tmp_path)
    assert (fetched.subtitles, len(fetched.notes)) == ((), 1)
    assert bird.visits == []


@pytest.mark.parametrize(("licences", "known", "reason"), [
    (("cc-by",), None, Reason.NO_LICENCE), (("cc-by",), "All rights reserved", Reason.OTHER_LICENCE),
    (("cc-by",), "CC BY-NC 4.0", Reason.OTHER_LICENCE), (("cc-by", "cc0"), "Creative Commons Attribution", None),
])
def test_only_what_has_the_licence_is_fetched(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, licences: tuple[str, ...], known: str | None,
    reason: Reason | None
) -> None:
    server.requests.clear()
    if reason is None:
        _fetch(worker, server, "good.mp4", tmp_path, licences=licences, known_licence=known)
        return
    with pytest.raises(FetchError) as caught:
        _fetch(worker, server, "good.mp4", tmp_path, licences=licences, known_licence=known)
    assert caught.value.reason is reason
    assert list(tmp_path.iterdir()) == []


def test_a_list_is_read_where_a_crash_does_no_harm(
    worker: KillableWorker, server: FetchServer, tmp_path: Path
) -> None:
    (server.folder / "list.csv").write_text("source,title\ngood.mp4,Good\nfile:///etc/passwd,Bad\n")
    listing = _fetch(worker, server, "list.csv", tmp_path)
    assert [(entry.source, entry.title) for entry in listing.entries] == [
        ("good.mp4", "Good"), ("file:///etc/passwd", "Bad")]
    (server.folder / "broken.parquet").write_bytes(b"PAR1 no")
    assert "Parquet" in _fetch(worker, server, "broken.parquet", tmp_path).fault


def test_memory_stays_small_whatever_the_server_sends(server: FetchServer, tmp_path: Path) -> None:
    worker = KillableWorker()
    for path in ("endless/a.html", "bomb/a.html", "endless/a.mp4"):
        with pytest.raises(FetchError):
            _fetch(worker, server, path, tmp_path)
    assert worker.run(peak_mb, stall_seconds=20) < 700
    worker.close()

