"""The fetch stage of a run: patience, politeness, what is fetched once, and what a spent budget leaves."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.fetch_request import FetchError
from pipeline.fetch_stage import FetchedVideo, Fetching
from pipeline.journal import Journal
from pipeline.no_room import is_no_room
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.reasons import Reason
from schemas.records import Source
from tests.builds import journal
from tests.fetch_server import FetchServer, fetch_server
from tests.numbered_videos import write_numbered


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchServer]:
    folder = tmp_path_factory.mktemp("served")
    for number in range(3):
        write_numbered(folder / f"{number}.mp4", "constant", 300 + number, 320, 180)
    with fetch_server(folder, slow_bytes_per_s=20_000) as server:
        yield server


class Stage:
    """A fetch stage whose output is a folder."""

    def __init__(self, server: FetchServer, out: Path, **choices: Any) -> None:
        config = BuildConfig(**({
            "allow_private_hosts": [server.allowed], "fetch_delay_seconds": 0.0, "fetch_retry_seconds": 0.05,
            "fetches": 2} | choices))
        self.server, self.out, self.store = server, out, WorkStore(out)
        self.fetching = Fetching(config, self.store, Journal(self.store.root))

    def fetch(self, path: str, go_on: Callable[[], None] = lambda: None) -> FetchedVideo:
        """Fetch a path of the server."""
        source = Source(path="", source=self.server.url(path), url=self.server.url(path))
        return self.fetching.fetch(source, lambda video_id: False, go_on)


@pytest.fixture
def make_stage(server: FetchServer, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(name: str = "out", **choices: Any) -> Stage:
        stages.append(Stage(server, tmp_path / name, **choices))
        return stages[-1]

    server.requests.clear()
    server.began.clear()
    server.counts.clear()
    yield make
    for stage in stages:
        stage.fetching.__exit__(None, None, None)


def test_what_may_pass_is_waited_for(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    with stage.fetch("later/0.mp4?times=2&status=503") as fetched:
        assert Path(fetched.source.path).read_bytes() == (stage.server.folder / "0.mp4").read_bytes()
    waited = [line for line in journal(stage.out) if line["event"] == "waiting"]
    assert [line["reason"] for line in waited] == [Reason.SERVER_FAULT] * 2


def test_what_breaks_off_is_gone_on_with_in_the_same_run(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    with stage.fetch("half/0.mp4?times=5") as fetched:
        assert Path(fetched.source.path).read_bytes() == (stage.server.folder / "0.mp4").read_bytes()
    starts = [int(asked[6:-1]) for asked in stage.server.asked("half/0.mp4") if asked]
    assert starts == sorted(set(starts)) != []


def test_patience_has_an_end(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(fetch_attempts=3)
    with pytest.raises(FetchError) as caught:
        stage.fetch("status/500.mp4")
    assert caught.value.reason is Reason.SERVER_FAULT
    assert len(stage.server.asked("status/500.mp4")) == 3


def test_nothing_is_fetched_twice(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    first = make_stage("one", cache=str(tmp_path / "cache"))
    with first.fetch("0.mp4") as fetched:
        assert fetched.hold is not None
    asked = len(first.server.asked("0.mp4"))
    for stage in (first, make_stage("two", cache=str(tmp_path / "cache"))):
        with stage.fetch("0.mp4") as again:
            assert again.video_id == fetched.video_id
    assert len(first.server.asked("0.mp4")) == asked


def test_two_addresses_of_one_video_are_one_file(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    with stage.fetch("0.mp4") as one, stage.fetch("redirect/0.mp4") as other:
        assert one.source.path == other.source.path
        assert one.source.source != other.source.source


def test_a_host_is_visited_with_pauses(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(fetch_delay_seconds=1.0, fetches=1)
    for number in range(3):  # the first also starts the process, which takes as long as a pause
        stage.fetch(f"{number}.mp4").__exit__()
    _, second, third = (min(at for path, at in stage.server.began if path == f"{n}.mp4") for n in range(3))
    assert third - second > 0.8


def test_a_spent_budget_stops_a_fetch_and_leaves_what_is_half_here(make_stage: Callable[..., Stage]) -> None:
    class SpentError(Exception):
        """The budget is."""

    stage = make_stage()

    def go_on() -> None:
        if any(part.stat().st_size > 5000 for part in stage.out.glob(".work/cache/partial/*/media.part")):
            raise SpentError

    with pytest.raises(SpentError):
        stage.fetch("slow/0.mp4", go_on)
    part, = stage.out.glob(".work/cache/partial/*/media.part")
    whole = (stage.server.folder / "0.mp4").read_bytes()
    have = part.stat().st_size
    assert 0 < have < len(whole)
    stage.server.requests.clear()
    with pytest.raises(SpentError):
        stage.fetch("1.mp4", go_on)
    assert stage.server.requests == []
    with stage.fetch("slow/0.mp4") as fetched:
        assert Path(fetched.source.path).read_bytes() == whole
    assert int(stage.server.asked("slow/0.mp4")[-1][6:-1]) >= have


def test_fetched_videos_leave_the_cache_when_it_is_full(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(cache_gb=1e-6)
    with stage.fetch("0.mp4") as held, stage.fetch("1.mp4") as other:
        assert Path(held.source.path).exists(), "what a run still needs stays"
        assert Path(other.source.path).exists()
    assert stage.fetching.cache.shrink() == 0


@contextmanager
def _little_room(most_bytes: int) -> Iterator[None]:
    """No file of a process that is started in the block can be larger: the disk says no in the middle of one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_no_fault_of_the_video_and_what_is_half_here_stays(make_stage: Callable[..., Stage]) -> None:
    with _little_room(20_000):
        full = make_stage()
        with pytest.raises(OSError, match="File too large") as error:
            full.fetch("2.mp4")
    assert is_no_room(error.value)
    assert [place.stat().st_size for place in full.out.rglob("media.part")] == [20_000]
    again = make_stage()
    with again.fetch("2.mp4") as fetched:
        assert again.fetching.cache.path(fetched.video_id).read_bytes() == (again.server.folder / "2.mp4").read_bytes()
    assert again.server.asked("2.mp4")[-1] == "bytes=20000-"
