"""The store of fetched videos: one file for the same bytes, and never more than the limit but for what is needed."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path

from pipeline.video_cache import VideoCache


def _add(cache: VideoCache, video_id: str, size: int = 100, used_at: int = 0) -> None:
    with cache.partial(video_id) as folder:
        (folder / "media").write_bytes(b"x" * size)
        cache.add(folder / "media", video_id).release()
        (folder / "fetched.json").write_text("[]")
        cache.remember(video_id, folder)
    os.utime(cache.path(video_id), (used_at, used_at))


def _left(cache: VideoCache) -> set[str]:
    return {path.name for path in (cache.root / "videos").glob("*/*")}


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path, 250)
    for age, video_id in enumerate(("aa1", "bb2", "cc3")):
        _add(cache, video_id, used_at=1000 + age)
    assert cache.shrink() == 200
    assert _left(cache) == {"bb2", "cc3"}
    cache.hold("bb2").release()
    _add(cache, "dd4", used_at=2**31)
    assert cache.shrink() == 200
    assert _left(cache) == {"bb2", "dd4"}


def test_what_is_held_stays_whatever_the_limit(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path, 0)
    _add(cache, "aa1")
    hold = cache.hold("aa1")
    assert cache.shrink() == 100
    assert not cache.remove("aa1")
    assert hold.path.read_bytes() == b"x" * 100
    hold.release()
    assert cache.shrink() == 0
    assert cache.hold("aa1") is None


def _hold_and_wait(root: Path, ready: Callable[[], None], until: Callable[[], bool]) -> None:
    assert VideoCache(root, 0).hold("aa1")
    ready.set()
    until.wait(60)


def test_another_run_holds_too_and_its_end_releases(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path, 0)
    _add(cache, "aa1")
    context = multiprocessing.get_context("spawn")
    ready, never = context.Event(), context.Event()
    other = context.Process(target=_hold_and_wait, args=(tmp_path, ready, never), daemon=True)
    other.start()
    assert ready.wait(60)
    assert cache.shrink() == 100
    other.kill()
    other.join()
    assert cache.shrink() == 0


def test_what_is_half_fetched_counts_and_goes_unless_it_is_being_fetched(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path, 250)
    for age, key in enumerate(("old", "new")):
        with cache.partial(key) as folder:
            (folder / "media.part").write_bytes(b"x" * 100)
        os.utime(folder / "media.part", (1000 + age, 1000 + age))
    _add(cache, "aa1", used_at=500)
    assert cache.shrink() == 200
    assert _left(cache) == set()
    _add(cache, "bb2", used_at=2000)
    with cache.partial("old"):
        assert cache.shrink() == 200
    assert {path.name for path in (tmp_path / "partial").iterdir() if path.is_dir()} == {"old"}
    assert _left(cache) == {"bb2"}


def test_an_address_is_fetched_by_one_at_a_time(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path, 0)
    inside, most = [], []

    def enter() -> None:
        with cache.partial("key") as folder:
            inside.append(folder)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_the_same_bytes_from_elsewhere_are_one_file(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path, 1000)
    _add(cache, "aa1")
    _add(cache, "aa1")
    assert _left(cache) == {"aa1"}
    assert cache.known("aa1") is not None
    assert cache.known("other") is None


def test_who_only_looks_makes_no_folder(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path / "deep" / "cache", 1)
    assert cache.hold("aa1") is None
    assert cache.known("aa1") is None
    assert cache.shrink() == 0
    assert list(tmp_path.iterdir()) == []
    with cache.partial("key"):
        assert (tmp_path / "deep" / "cache" / "partial" / "key").is_dir()
