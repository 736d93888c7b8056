"""What lies half fetched is gone on with, but never joined with another version of the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.decode import read_facts
from pipeline.fetch import fetch
from pipeline.fetch_request import MEDIA, FetchError, FetchRequest
from pipeline.killable_worker import KillableWorker
from schemas.reasons import Reason
from tests.fetch_server import FetchServer, fetch_server
from tests.hls_files import write_hls
from tests.numbered_videos import write_numbered

FRAMES = 250


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchServer]:
    folder = tmp_path_factory.mktemp("served")
    write_numbered(folder / "first.mp4", "constant", FRAMES, 320, 180)
    write_numbered(folder / "second.mp4", "constant", FRAMES + 30, 320, 180)
    for name in ("first", "second"):
        write_hls(folder / f"{name}.mp4", folder / f"{name}-hls")
    with fetch_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def _fetch(worker: KillableWorker, server: FetchServer, path: str, folder: Path, **more: Any) -> None:
    choices = {"height": 720, "max_bytes": 5_000_000, "max_duration_s": 3600.0, "deadline_s": 60.0, "max_entries": 10}
    request = FetchRequest(url=server.url(path), allowed_hosts=(server.allowed,), **(choices | more))
    worker.run(fetch, request, folder, stall_seconds=30)


def _fetch_half(worker: KillableWorker, server: FetchServer, path: str, folder: Path) -> int:
    """Bytes that arrived before the server broke off."""
    with pytest.raises(FetchError) as caught:
        _fetch(worker, server, path, folder)
    assert caught.value.reason is Reason.FETCH_BROKE_OFF
    return (folder / f"{MEDIA}.part").stat().st_size


def _serve(server: FetchServer, version: str) -> bytes:
    data = (server.folder / f"{version}.mp4").read_bytes()
    (server.folder / "film.mp4").write_bytes(data)
    return data


def test_the_rest_of_the_same_file_is_asked_for(worker: KillableWorker, server: FetchServer, tmp_path: Path) -> None:
    whole = _serve(server, "first")
    have = _fetch_half(worker, server, "breaks/film.mp4", tmp_path)
    server.requests.clear()
    _fetch(worker, server, "breaks/film.mp4?whole", tmp_path)
    assert (tmp_path / MEDIA).read_bytes() == whole
    assert server.asked("breaks/film.mp4")[-1] == f"bytes={have}-"
    assert [path.name for path in tmp_path.iterdir()] == [MEDIA]


@pytest.mark.parametrize("server_is", ["", "deaf", "tags=no", "tags=no&deaf"])
def test_another_version_is_fetched_anew(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, server_is: str
) -> None:
    """Whether the server understands If-Range, sends the rest although it does, or says nothing of its file."""
    _serve(server, "first")
    _fetch_half(worker, server, f"breaks/film.mp4?{server_is}", tmp_path)
    whole = _serve(server, "second")
    if server_is == "deaf":
        with pytest.raises(FetchError) as caught:
            _fetch(worker, server, "breaks/film.mp4?whole&deaf", tmp_path)
        assert caught.value.reason is Reason.FETCH_BROKE_OFF
        assert caught.value.may_pass
    _fetch(worker, server, f"breaks/film.mp4?whole&{server_is}", tmp_path)
    assert (tmp_path / MEDIA).read_bytes() == whole


@pytest.mark.parametrize(("version", "frames"), [("first", FRAMES), ("second", FRAMES + 30)])
def test_segments_are_gone_on_with_where_the_playlist_is_the_same(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, version: str, frames: int
) -> None:
    for name in ("first", version):
        folder = server.folder / "hls"
        if folder.is_symlink():
            folder.unlink()
        folder.symlink_to(server.folder / f"{name}-hls")
        if name == "first" and not (tmp_path / f"{MEDIA}.part").exists():
            server.missing = "hls/2.ts"
            with pytest.raises(FetchError):
                _fetch(worker, server, "hls/picture.m3u8", tmp_path)
            assert (tmp_path / f"{MEDIA}.part").stat().st_size > 0
            server.missing = None
    server.requests.clear()
    _fetch(worker, server, "hls/picture.m3u8", tmp_path)
    assert len(read_facts(str(tmp_path / MEDIA)).ticks) == frames
    assert len(server.asked("hls/0.ts")) == (0 if version == "first" else 1)
