"""Links that would lead a fetch to where it must not go, tried with yt-dlp itself. A canary listens there."""

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipeline.fetch import fetch
from pipeline.fetch_request import MEDIA, Fetched, FetchError, FetchRequest, Listing
from pipeline.killable_worker import KillableWorker, Report
from schemas.reasons import Reason
from tests.fetch_server import FetchServer, canary, fetch_server
from tests.numbered_videos import write_numbered
from tests.worker_memory import peak_mb

SECRET = "what a file of ours says"
MPD = ('<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"><Period>'
       '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1" codecs="avc1.64000d" width="64" '
       'height="64"><BaseURL>{there}</BaseURL></Representation></AdaptationSet></Period></MPD>')
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
M3U8, DASH = "application/vnd.apple.mpegurl", "application/dash+xml"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchServer]:
    folder = tmp_path_factory.mktemp("served")
    write_numbered(folder / "good.mp4", "constant", 50, 320, 180)
    with fetch_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def _request(server: FetchServer, url: str) -> FetchRequest:
    return FetchRequest(
        url=url, height=720, max_bytes=5_000_000, max_duration_s=3600.0, deadline_s=30.0, max_entries=10,
        allowed_hosts=(server.allowed,))


def _fetch(worker: KillableWorker, server: FetchServer, url: str, folder: Path) -> Fetched | Listing:
    return worker.run(fetch, _request(server, url), folder, stall_seconds=30)


def _said(server: FetchServer, name: str, kind: str, words: str) -> str:
    return server.url(f"said/{name}?kind={quote(kind)}&words={quote(words)}")


@pytest.mark.parametrize(("name", "kind", "words"), [
    ("a.m3u8", M3U8, HEAD + '#EXT-X-KEY:METHOD=AES-128,URI="{there}"\n#EXTINF:4,\n/good.mp4\n#EXT-X-ENDLIST\n'),
    ("a.m3u8", M3U8, HEAD + '#EXT-X-MAP:URI="{there}"\n#EXTINF:4,\n/good.mp4\n#EXT-X-ENDLIST\n'),
    ("a.m3u8", M3U8, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=64x64\n{there}\n"),
    ("a.mpd", DASH, MPD),
    ("a.html", "text/html", '<html><head><meta http-equiv="refresh" content="0; url={there}"></head></html>'),
    ("a.html", "text/html", '<html><head><meta property="og:video" content="{there}"></head></html>'),
    ("a.html", "text/html", '<html><body><video src="{there}" type="video/mp4"></video></body></html>'),
    ("a.html", "text/html", '<html><head><script type="application/ld+json">{{"@context": "https://schema.org", '
                            '"@type": "VideoObject", "name": "x", "contentUrl": "{there}"}}</script></head></html>'),
])
def test_no_page_and_no_manifest_leads_to_a_private_address(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, name: str, kind: str, words: str
) -> None:
    with canary() as bird:
        there = f"http://127.0.0.1:{bird.port}/a.mp4"
        with pytest.raises(FetchError) as caught:
            _fetch(worker, server, _said(server, name, kind, words.format(there=there)), tmp_path)
    assert caught.value.reason is Reason.PRIVATE_ADDRESS
    assert bird.visits == []
    assert not (tmp_path / MEDIA).exists()


@pytest.mark.parametrize(("name", "kind", "words"), [
    ("a.m3u8", M3U8, HEAD + "#EXTINF:4,\nfile://{secret}\n#EXT-X-ENDLIST\n"),
    ("a.m3u8", M3U8, HEAD + "#EXTINF:4,\n{secret}\n#EXT-X-ENDLIST\n"),
    ("a.mpd", DASH, MPD.replace("{there}", "file://{secret}")),
    ("a.mpd", DASH, '<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>' + MPD.replace("{there}", "&e;")),
    ("a.html", "text/html", '<html><body><video src="file://{secret}" type="video/mp4"></video></body></html>'),
    ("a.html", "text/html", '<html><head><meta property="og:video" content="file://{secret}"></head></html>'),
])
def test_none_leads_to_a_file_of_ours(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, name: str, kind: str, words: str
) -> None:
    secret, folder = tmp_path / "secret.mp4", tmp_path / "folder"
    secret.write_text(SECRET)
    folder.mkdir()
    with pytest.raises(FetchError) as caught:
        _fetch(worker, server, _said(server, name, kind, words.format(secret=secret)), folder)
    assert SECRET not in caught.value.detail
    assert not any(SECRET in path.read_text() for path in folder.iterdir())


@pytest.mark.parametrize("host", [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "0", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "localhost", "LOCALHOST", "localhost.", "example.org@127.0.0.1", "127.0.0.1%2f", "①②⑦.⓪.⓪.①",
])
def test_no_way_of_writing_an_address_hides_it(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, host: str
) -> None:
    with canary() as bird:
        for url in (f"http://{host}:{bird.port}/a.mp4",
                    server.url(f"redirect/x?to={quote(f'http://{host}:{bird.port}/a.mp4')}")):
            with pytest.raises(FetchError) as caught:
                _fetch(worker, server, url, tmp_path)
            assert caught.value.reason in (Reason.PRIVATE_ADDRESS, Reason.SERVER_UNREACHABLE, Reason.FETCH_FAILED)
    assert bird.visits == []


def _fetch_by_a_name_that_moves(report: Report, request: FetchRequest, folder: Path) -> None:
    """A name server of an attacker's: a public address the first time, ours every other time."""
    answers = itertools.chain(["93.184.216.34"], itertools.repeat("127.0.0.1"))
    resolve = socket.getaddrinfo

    def rebinding(host: str, *more: Any, **how: Any) -> Any:
        return resolve(next(answers) if host == "moves.example" else host, *more, **how)

    socket.getaddrinfo = rebinding
    try:
        rebinding("moves.example", 80)  # somebody looks before the fetch, and finds nothing wrong
        fetch(report, request, folder)
    finally:
        socket.getaddrinfo = resolve


def test_a_name_that_resolves_elsewhere_the_second_time_leads_nowhere(server: FetchServer, tmp_path: Path) -> None:
    worker = KillableWorker()
    with canary() as bird, pytest.raises(FetchError) as caught:
        worker.run(
            _fetch_by_a_name_that_moves, _request(server, f"http://moves.example:{bird.port}/a.mp4"), tmp_path,
            stall_seconds=30)
    worker.close()
    assert caught.value.reason is Reason.PRIVATE_ADDRESS
    assert bird.visits == []


def test_a_manifest_that_unfolds_takes_no_memory(server: FetchServer, tmp_path: Path) -> None:
    worker = KillableWorker()
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "{"ha" * 100}">{LAUGHS}]>' + MPD.format(there="&l11;")
    (server.folder / "bomb.mpd").write_text(bomb)
    with pytest.raises(FetchError):
        _fetch(worker, server, server.url("bomb.mpd"), tmp_path)
    assert worker.run(peak_mb, stall_seconds=20) < 700
    worker.close()
