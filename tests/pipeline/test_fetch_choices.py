"""What was chosen about fetching is what the servers see: cookies, proxy, pace."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.fetch import fetch
from pipeline.fetch_request import MEDIA, FetchError, FetchRequest
from pipeline.killable_worker import KillableWorker
from schemas.reasons import Reason
from tests.fetch_server import FetchServer, fetch_server
from tests.hls_files import write_hls
from tests.numbered_videos import write_numbered

COOKIES = """# Netscape HTTP Cookie File
127.0.0.1\tFALSE\t/\tFALSE\t2147483647\tsession\tours
example.org\tFALSE\t/\tFALSE\t2147483647\tsession\ttheirs
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchServer]:
    folder = tmp_path_factory.mktemp("served")
    write_numbered(folder / "good.mp4", "constant", 250, 320, 180)
    write_hls(folder / "good.mp4", folder / "hls")
    with fetch_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def _fetch(worker: KillableWorker, url: str, folder: Path, **more: Any) -> None:
    choices = {"height": 720, "max_bytes": 5_000_000, "max_duration_s": 3600.0, "deadline_s": 60.0, "max_entries": 10}
    worker.run(fetch, FetchRequest(url=url, **(choices | more)), folder, stall_seconds=30)


def test_cookies_go_to_their_own_site(worker: KillableWorker, server: FetchServer, tmp_path: Path) -> None:
    server.headers.clear()
    _fetch(worker, server.url("good.mp4"), tmp_path, allowed_hosts=(server.allowed,), cookies=COOKIES)
    assert {headers.get("Cookie") for _, headers in server.headers} == {"session=ours"}


def test_a_proxy_is_asked_for_everything(worker: KillableWorker, server: FetchServer, tmp_path: Path) -> None:
    """The server stands in for one: at an address that no link may lead to, it knows a name that nobody else does."""
    server.headers.clear()
    _fetch(worker, "http://films.invalid/hls/picture.m3u8", tmp_path, proxy=f"http://{server.allowed}")
    assert {headers["Host"] for _, headers in server.headers} == {"films.invalid"}
    assert {path for path, _ in server.headers} == {"hls/picture.m3u8", "hls/0.ts", "hls/1.ts", "hls/2.ts"}
    assert (tmp_path / MEDIA).exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "[::ffff:127.0.0.1]", "10.1.2.3"])
def test_a_proxy_is_not_asked_for_what_is_not_public(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, host: str
) -> None:
    server.headers.clear()
    with pytest.raises(FetchError) as caught:
        _fetch(worker, f"http://{host}:8080/good.mp4", tmp_path, proxy=f"http://{server.allowed}")
    assert caught.value.reason is Reason.PRIVATE_ADDRESS
    assert server.headers == []


@pytest.mark.parametrize("path", ["good.mp4", "hls/picture.m3u8"])
def test_a_rate_is_kept(worker: KillableWorker, server: FetchServer, tmp_path: Path, path: str) -> None:
    started = time.monotonic()
    _fetch(worker, server.url(path), tmp_path, allowed_hosts=(server.allowed,), rate_limit=30_000.0)
    least_s = (tmp_path / MEDIA).stat().st_size / 30_000
    assert least_s > 1
    assert time.monotonic() - started > 0.7 * least_s  # a part may come at once, before the pace is known
