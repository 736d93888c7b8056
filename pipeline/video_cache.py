"""Fetched videos, stored by what they hold: two addresses of one video are one file.

    videos/{first two digits}/{video_id}    the bytes
    known/{key of the address}/             what was learnt when fetching it: `fetched.json`, subtitles
    partial/{key of the address}/           what is half fetched; a later run goes on with it

What is half fetched counts to the size of the cache, and is removed like a video not used for long.

Several runs may share a cache. A file that a run still needs is held by a lock of the operating system, which
ends with the process whatever ends it, so that nothing stays held for ever.
"""

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.work_store import flush_folder, flush_tree


class Hold:
    """A video that stays in the cache until the hold is released, or the process ends."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle

    def release(self) -> None:
        """Let the cache remove the video when it has to."""
        os.close(self._handle)


class VideoCache:
    """The videos under one folder; safe for many threads and processes."""

    def __init__(self, root: Path, limit_bytes: int) -> None:
        """
        Args:
            root: the folder, made when something is put there.
            limit_bytes: above this size the videos not used for longest are removed, unless they are held.
        """
        self.root, self._limit_bytes = root, limit_bytes
        self._lock = threading.Lock()

    def path(self, video_id: str) -> Path:
        """Where a video lies, or would."""
        return self.root / "videos" / video_id[:2] / video_id

    def hold(self, video_id: str) -> "Hold | None":
        """Keep a video from being removed; None when it is not there."""
        path = self.path(video_id)
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        fcntl.flock(handle, fcntl.LOCK_SH)
        if os.fstat(handle).st_nlink == 0:  # removed while we waited for the lock
            os.close(handle)
            return None
        os.utime(path)  # used just now: the last to be removed
        return Hold(path, handle)

    @contextlib.contextmanager
    def partial(self, key: str) -> Iterator[Path]:
        """The folder to fetch an address into; another run that fetches the same one waits."""
        folder = self.root / "partial" / key
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / "partial" / f"{key}.lock", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            folder.mkdir(exist_ok=True)
            yield folder
        finally:
            os.close(handle)

    def known(self, key: str) -> Path | None:
        """What is known of an address, when its video is there too or was."""
        folder = self.root / "known" / key
        return folder if folder.is_dir() else None

    def add(self, media: Path, video_id: str) -> Hold:
        """Take a fetched file in, held from the first moment on; it is gone from where it was."""
        there = self.hold(video_id)
        if there is not None:  # it stays the file that other runs hold
            media.unlink()
            return there
        place = self.path(video_id)
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(media, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_SH)
        os.fsync(handle)
        os.chmod(media, 0o444)
        os.replace(media, place)
        flush_folder(place.parent)
        return Hold(place, handle)

    def remember(self, key: str, folder: Path) -> Path:
        """Take in what was learnt of an address: a folder, which is gone from where it was."""
        place = self.root / "known" / key
        place.parent.mkdir(parents=True, exist_ok=True)
        flush_tree(folder)
        shutil.rmtree(place, ignore_errors=True)
        os.rename(folder, place)
        flush_folder(place.parent)
        return place

    def remove(self, video_id: str) -> bool:
        """Remove a video unless a run holds it; returns whether it is gone."""
        return self._remove(self.path(video_id))

    def shrink(self) -> int:
        """Remove what was not used for longest, videos and half videos, until the limit is kept.

        Returns:
            The bytes that are left; more than the limit where runs hold or fetch them.
        """
        with self._lock:
            found = sorted([*self._videos(), *self._halves()])
            left = sum(size for _, size, _ in found)
            for _, size, path in found:
                if left <= self._limit_bytes:
                    break
                if self._remove(path):
                    left -= size
            return left

    def _videos(self) -> Iterator[tuple[int, int, Path]]:
        """When each video was used last (ns), its size, its path."""
        for path in (self.root / "videos").glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # another run removed it just now
                facts = path.stat()
                yield facts.st_mtime_ns, facts.st_size, path

    def _halves(self) -> Iterator[tuple[int, int, Path]]:
        """The same of each folder with something half fetched."""
        for lock in (self.root / "partial").glob("*.lock"):
            folder = lock.with_suffix("")
            with contextlib.suppress(FileNotFoundError):  # another run finished it just now
                facts = [path.stat() for path in folder.iterdir()]
                if facts:
                    yield max(one.st_mtime_ns for one in facts), sum(one.st_size for one in facts), folder

    def _remove(self, path: Path) -> bool:
        """Remove a video, or a folder with something half fetched, unless it is held; returns whether it is gone."""
        is_half = path.parent.name == "partial"
        try:
            handle = os.open(path.with_suffix(".lock") if is_half else path, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_half:
                shutil.rmtree(path, ignore_errors=True)  # another run may have removed it just now
            else:
                path.unlink(missing_ok=True)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True
