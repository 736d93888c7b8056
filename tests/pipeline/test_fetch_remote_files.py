"""Objects copied from an S3 server on this machine."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipeline.fetch import fetch
from pipeline.fetch_remote_files import fetch_object
from pipeline.fetch_request import MEDIA, FetchError, FetchRequest
from pipeline.killable_worker import KillableWorker, Report
from schemas.reasons import Reason

DATA = bytes(range(256)) * 50_000


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    """A process whose environment says where the store lies."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        store = s3fs.S3FileSystem(skip_instance_cache=True)
        store.mkdir("films")
        store.pipe({"films/deep/a.mp4": DATA, "films/b.mkv": b"b", "films/notes.txt": b"no"})
        worker = KillableWorker()
        yield worker
        worker.close()
    server.stop()


def _fetch(worker: KillableWorker, url: str, folder: Path, job: Any = fetch_object, **more: Any) -> Any:
    choices = {"height": 720, "max_bytes": 1 << 30, "max_duration_s": 60.0, "deadline_s": 60.0, "max_entries": 10}
    return worker.run(job, FetchRequest(url=url, **(choices | more)), folder, stall_seconds=60)


def test_an_object_arrives_whole(worker: KillableWorker, tmp_path: Path) -> None:
    _fetch(worker, "s3://films/deep/a.mp4", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MEDIA]
    assert (tmp_path / MEDIA).read_bytes() == DATA


def _fetch_half(worker: KillableWorker, url: str, folder: Path) -> int:
    """Bytes that arrived before the time was over."""
    with pytest.raises(FetchError):
        _fetch(worker, url, folder, deadline_s=0.0)
    return (folder / f"{MEDIA}.part").stat().st_size


def test_what_is_half_there_is_gone_on_with(worker: KillableWorker, tmp_path: Path) -> None:
    assert 0 < _fetch_half(worker, "s3://films/deep/a.mp4", tmp_path) < len(DATA)
    with (tmp_path / f"{MEDIA}.part").open("r+b") as part:
        part.write(b"!" * 1000)
    _fetch(worker, "s3://films/deep/a.mp4", tmp_path)
    assert (tmp_path / MEDIA).read_bytes() == b"!" * 1000 + DATA[1000:]


def _fetch_with_little_room(report: Report, request: FetchRequest, folder: Path) -> Any:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    try:
        return fetch_object(report, request, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_full_disk_is_no_fault_of_the_object_and_what_is_half_here_stays(
    worker: KillableWorker, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="File too large"):
        _fetch(worker, "s3://films/deep/a.mp4", tmp_path, _fetch_with_little_room)
    assert (tmp_path / f"{MEDIA}.part").stat().st_size == 1_000_000
    _fetch(worker, "s3://films/deep/a.mp4", tmp_path)
    assert (tmp_path / MEDIA).read_bytes() == DATA


def test_but_not_with_another_version(worker: KillableWorker, tmp_path: Path) -> None:
    import s3fs

    store = s3fs.S3FileSystem(skip_instance_cache=True)
    store.pipe("films/changes.mp4", DATA)
    _fetch_half(worker, "s3://films/changes.mp4", tmp_path)
    store.pipe("films/changes.mp4", DATA[::-1])
    _fetch(worker, "s3://films/changes.mp4", tmp_path)
    store.rm("films/changes.mp4")
    assert (tmp_path / MEDIA).read_bytes() == DATA[::-1]


def test_a_process_that_fetched_from_the_web_may_copy_objects_next(worker: KillableWorker, tmp_path: Path) -> None:
    """What it was held to for a stranger holds no more; what it may write does."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with pytest.raises(FetchError) as caught:
        _fetch(worker, "http://127.0.0.1:1/a.mp4", tmp_path / "one", job=fetch)
    assert caught.value.reason is Reason.PRIVATE_ADDRESS
    _fetch(worker, "s3://films/deep/a.mp4", tmp_path / "two")
    assert (tmp_path / "two" / MEDIA).read_bytes() == DATA


def test_a_folder_is_a_list_of_its_videos(worker: KillableWorker, tmp_path: Path) -> None:
    listing = _fetch(worker, "s3://films/", tmp_path)
    assert [entry.source for entry in listing.entries] == ["s3://films/b.mkv", "s3://films/deep/a.mp4"]


@pytest.mark.parametrize(("url", "more", "reason"), [
    ("s3://films/gone.mp4", {}, Reason.NOT_FOUND), ("s3://no-such-bucket/a.mp4", {}, Reason.NOT_FOUND),
    ("s3://films/deep/a.mp4", {"max_bytes": 1000}, Reason.TOO_MANY_BYTES),
])
def test_what_cannot_be_fetched_has_its_reason(
    worker: KillableWorker, tmp_path: Path, url: str, more: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(FetchError) as caught:
        _fetch(worker, url, tmp_path, **more)
    assert caught.value.reason is reason


@pytest.mark.parametrize(("url", "file_system"), [
    ("gs://bucket/a.mp4", "GCSFileSystem"), ("hf://datasets/owner/set/a.mp4", "HfFileSystem")])
def test_other_stores_have_their_file_systems(url: str, file_system: str, tmp_path: Path) -> None:
    """As far as it can be tried without such a store: the file system is chosen, or named where it lacks."""
    scheme = url.partition(":")[0]
    try:
        assert fsspec.get_filesystem_class(scheme).__name__ == file_system
    except ImportError:
        worker = KillableWorker()
        with pytest.raises(FetchError, match=rf"pip install -e '\.\[{scheme}\]'"):
            _fetch(worker, url, tmp_path)
        worker.close()
