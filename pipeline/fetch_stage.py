"""The fetch stage: a source that lies elsewhere becomes a file in the cache, each at most once.

Product (a folder): `fetched.json`, one record of what was learnt, and the subtitles it names. The bytes lie in the
cache (`pipeline.video_cache`), which may drop them once they are decoded.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.fetch_request import MEDIA, Fetched, FetchedSubtitles, FetchError, FetchRequest, Listing
from pipeline.host_lanes import HostLanes
from pipeline.identify import identify
from pipeline.journal import Journal
from pipeline.killable_worker import WorkerCrashedError, WorkerPool, WorkerStalledError
from pipeline.record_files import read_records, write_records
from pipeline.source_addresses import Kind, host_of, kind_of
from pipeline.video_cache import Hold, VideoCache
from pipeline.work_store import WorkStore, key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Source, SourceFacts, SubtitleFile

VERSION = "1"
_RECORD = "fetched.json"
_LONGEST_WAIT_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedRecord:
    """What a fetch product says."""

    video_id: str
    facts: SourceFacts
    subtitles: list[FetchedSubtitles]


@dataclass(frozen=True, slots=True)
class FetchedVideo:
    """A source that was fetched, and its video's id."""

    source: Source
    video_id: str
    hold: Hold | None
    """Keeps the bytes in the cache; None when they are needed no more, because the video is decoded."""

    def __enter__(self) -> "FetchedVideo":
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.release()


class Fetching:
    """Fetches for all threads of one run."""

    def __init__(self, config: BuildConfig, store: WorkStore, journal: Journal) -> None:
        self.cache = VideoCache(
            Path(config.cache) if config.cache else store.root / "cache", int(config.cache_gb * 1e9))
        self._config, self._store, self._journal = config, store, journal
        self._workers = WorkerPool(config.fetches)
        self._lanes = HostLanes(config.fetches_per_host, config.fetch_delay_seconds)
        self._cookies = Path(config.cookies).read_text(encoding="utf-8") if config.cookies else None

    def __enter__(self) -> "Fetching":
        return self

    def __exit__(self, *of_error: object) -> None:
        self._workers.__exit__(*of_error)

    def fetch(
        self, source: Source, is_decoded: Callable[[str], bool], go_on: Callable[[], None] = lambda: None
    ) -> FetchedVideo | Listing:
        """Fetch a source, unless it was fetched before.

        Args:
            source: with a URL.
            is_decoded: whether the video of an id needs its bytes no more.
            go_on: called before and while bytes are fetched; what it raises ends the fetch, and what is half here
                stays for another run.

        Raises:
            FetchError: it could not be fetched, tried as often as makes sense.
            OSError: there is no room for it; what is half here stays for another run.
        """
        found = self.find(source, is_decoded)
        if found is not None:
            return found
        key = self._key(source)
        fetched = self._fetch_new(source, key, go_on)
        if isinstance(fetched, Listing):
            return fetched
        record, hold = fetched
        return FetchedVideo(_with_facts(source, record, self._take_known(key), hold), record.video_id, hold)

    def find(self, source: Source, is_decoded: Callable[[str], bool]) -> FetchedVideo | None:
        """A source that was fetched before; None where it would have to be fetched, or is a list."""
        key = self._key(source)
        product = self._store.find(Stage.FETCH, key) or self._take_known(key)
        if product is None:
            return None
        record = read_records(product / _RECORD, FetchedRecord)[0]
        hold = None if is_decoded(record.video_id) else self.cache.hold(record.video_id)
        if hold is None and not is_decoded(record.video_id):
            return None
        return FetchedVideo(_with_facts(source, record, product, hold), record.video_id, hold)

    def _key(self, source: Source) -> str:
        return key_of(VERSION, source.url, self._config.fetch_height, self._config.subtitle_languages)

    def delete(self, video_ids: Iterable[str]) -> None:
        """Remove fetched videos, but for those that another run holds."""
        for video_id in video_ids:
            self.cache.remove(video_id)

    def _fetch_new(self, source: Source, key: str, go_on: Callable[[], None]) -> tuple[FetchedRecord, Hold] | Listing:
        """Bring a video into the cache, or learn that the source is a list."""
        go_on()
        self._journal.say("started", Stage.FETCH, source.source, key=key)
        with self.cache.partial(key) as folder:
            there = self._fetched_meanwhile(key)
            if there is not None:
                shutil.rmtree(folder)
                return there
            outcome = self._fetch_with_patience(source, folder, go_on)
            if isinstance(outcome, Listing):
                shutil.rmtree(folder)
                self._journal.say("done", Stage.FETCH, source.source, key=key)
                return outcome
            record, hold = self._store_video(folder, outcome)
            self.cache.remember(key, folder)
        self._journal.say("done", Stage.FETCH, source.source, key=key, notes=list(outcome.notes))
        self.cache.shrink()
        return record, hold

    def _fetched_meanwhile(self, key: str) -> tuple[FetchedRecord, Hold] | None:
        """What another run fetched while this one waited for its turn."""
        product = self._take_known(key)
        if product is None:
            return None
        record = read_records(product / _RECORD, FetchedRecord)[0]
        hold = self.cache.hold(record.video_id)
        return None if hold is None else (record, hold)

    def _take_known(self, key: str) -> Path | None:
        """What a run, this one or another, has left in the cache about an address, as a product of this output."""
        known = self.cache.known(key)
        if known is None:
            return None
        if self._store.find(Stage.FETCH, key) is None:
            with self._store.write(Stage.FETCH, key) as folder:
                shutil.copytree(known, folder, dirs_exist_ok=True)
        return self._store.find(Stage.FETCH, key)

    def _fetch_with_patience(self, source: Source, folder: Path, go_on: Callable[[], None]) -> Fetched | Listing:
        """Try again where that makes sense, later each time."""
        wait_s = self._config.fetch_retry_seconds
        for left in reversed(range(self._config.fetch_attempts)):
            try:
                return self._fetch_once(source, folder, go_on)
            except FetchError as fault:
                if not fault.may_pass or not left:
                    if not fault.may_pass:
                        shutil.rmtree(folder)  # nobody will go on with what is half fetched
                    raise
                go_on()
                self._journal.say("waiting", Stage.FETCH, source.source, reason=fault.reason, tries_left=left)
                time.sleep(min(_LONGEST_WAIT_S, max(wait_s, fault.wait_s or 0.0)))
                wait_s *= 2
        raise AssertionError("the last try returns or raises")

    def _fetch_once(self, source: Source, folder: Path, go_on: Callable[[], None]) -> Fetched | Listing:
        def look(share: float) -> None:
            go_on()
            self._journal.say_progress(Stage.FETCH, source.source, share)

        try:
            with self._lanes.visit(host_of(source.url)), self._workers.borrow() as worker:
                go_on()  # the turn may have been long in coming
                return worker.run(
                    _job(source.url), self._request(source), folder.absolute(),
                    stall_seconds=self._config.fetch_stall_seconds, on_progress=look)
        except WorkerStalledError as error:
            raise FetchError(Reason.FETCH_STALLED, str(error)) from error
        except WorkerCrashedError as error:
            raise FetchError(Reason.FETCH_FAILED, f"the fetching process died ({error})") from error

    def _request(self, source: Source) -> FetchRequest:
        config = self._config
        return FetchRequest(
            url=source.url, height=config.fetch_height, max_bytes=int(config.max_fetch_gb * 1e9),
            max_duration_s=config.max_hours * 3600, deadline_s=config.max_fetch_hours * 3600,
            max_entries=config.max_playlist, languages=tuple(config.subtitle_languages),
            licences=tuple(config.licence), known_licence=source.license,
            rate_limit=config.rate_limit_mb * 1e6 if config.rate_limit_mb else None, cookies=self._cookies,
            proxy=config.proxy, allowed_hosts=tuple(config.allow_private_hosts))

    def _store_video(self, folder: Path, fetched: Fetched) -> tuple[FetchedRecord, Hold]:
        """Move the bytes to their place in the cache; what stays in the folder is what is known of them."""
        media = folder / MEDIA
        if media.stat().st_size == 0:
            media.unlink()
            raise FetchError(Reason.NO_VIDEO_THERE, "the server sent no bytes")
        with self._workers.borrow() as worker:
            video_id = worker.run(identify_fetched, media.absolute(), stall_seconds=self._config.fetch_stall_seconds)
        hold = self.cache.add(media, video_id)
        wanted = {one.name for one in fetched.subtitles}
        for rest in folder.iterdir():
            if rest.name not in wanted:
                rest.unlink()
        record = FetchedRecord(video_id=video_id, facts=fetched.facts, subtitles=list(fetched.subtitles))
        write_records(folder / _RECORD, FetchedRecord, [record])
        return record, hold


def identify_fetched(report: Any, path: Path) -> str:
    """The id of a fetched file."""
    return identify(report, str(path))


def _job(url: str) -> Callable[..., Any]:
    """Who fetches an address. Imported here: yt-dlp is large, and builds of local files do without it."""
    if kind_of(url) is Kind.OBJECT:
        from pipeline.fetch_remote_files import fetch_object

        return fetch_object
    from pipeline.fetch import fetch

    return fetch


def _with_facts(source: Source, record: FetchedRecord, product: Path, hold: Hold | None) -> Source:
    """The source with what its site says, where the list says nothing."""
    said = {name: getattr(source, name) or getattr(record.facts, name)
            for name in ("title", "domain", "language", "license", "uploader", "published", "chapters")}
    subtitles = tuple(
        SubtitleFile(path=str(product / one.name), language=one.language, auto=one.auto) for one in record.subtitles)
    # once decoded, the bytes may be gone; nobody opens the path then
    path = "" if hold is None else str(hold.path.absolute())
    return replace(source, path=path, subtitle_files=subtitles or source.subtitle_files, **said)
