"""Fetching one video from the web with yt-dlp, in a process that may be killed (`pipeline.killable_worker`).

One file is fetched, the picture in the size we need, with or without sound. Nothing has to be joined or mended
afterwards (our decoder reads transport streams and fragments as they are), so no FFmpeg program is ever run on
what a stranger sent, and `pipeline.address_guard` forbids it. Names of files are ours alone: no title, language or
extension of a stranger becomes part of a path.
"""

import csv
import io
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.address_guard import Permissions, guard
from pipeline.fetch_facts import choose_subtitles, one_line, read_facts_of_site
from pipeline.fetch_faults import raise_if_no_room, read_fault
from pipeline.fetch_http import Downloader
from pipeline.fetch_request import (
    LIST,
    MEDIA,
    Fetched,
    FetchedSubtitles,
    FetchError,
    FetchRequest,
    Listing,
)
from pipeline.fetch_resume import BeforeDownload, HalfFetched
from pipeline.killable_worker import Report
from pipeline.licences import check_licence
from pipeline.sources import LIST_SUFFIXES, ListEntry, read_entries
from schemas.reasons import Reason

_SOCKET_S = 30
_JAVASCRIPT = frozenset({"deno", "deno.exe"})
_PROTOCOLS = "[protocol~='^(https?|m3u8(_native)?|http_dash_segments(_generator)?)$']"
_LIVE = frozenset({"is_live", "is_upcoming"})


@dataclass
class _Words:
    """Takes what yt-dlp says instead of the terminal."""

    warnings: list[str] = field(default_factory=list)

    def debug(self, words: str) -> None:
        """Progress, of no use here."""

    def warning(self, words: str) -> None:
        """Something to remember when the fetch fails."""
        self.warnings.append(words)

    def error(self, words: str) -> None:
        """An error that is raised as well."""


def fetch(report: Report, request: FetchRequest, folder: Path) -> Fetched | Listing:
    """Fetch a video, or a list of videos; a file that lies half fetched in the folder is gone on with.

    Args:
        report: progress.
        request: what to fetch.
        folder: where to put it; nothing outside is written.

    Raises:
        FetchError: it could not be fetched; the reason says why.
        OSError: there is no room for it.
    """
    sys.dont_write_bytecode = True  # modules are loaded late, and the guard lets nothing be written elsewhere
    permissions = Permissions(
        folder=folder, allowed_hosts=request.allowed_hosts, proxy=request.proxy, programs=_JAVASCRIPT)
    guard(permissions)
    limits = _Limits(report, request)
    words, half = _Words(), HalfFetched(folder)
    try:
        with Downloader(_options(request, folder, limits, words), limits.look, half) as downloader:
            downloader.add_post_processor(BeforeDownload(downloader, half), when="before_dl")
            suffix = Path(urlsplit(request.url).path).suffix.lower()
            if suffix in LIST_SUFFIXES:
                (folder / LIST).write_bytes(downloader.urlopen(request.url).read())
                return _read_list(folder / LIST, suffix, request.max_entries)
            info = downloader.extract_info(request.url, download=True)
            if info is None:
                raise FetchError(Reason.NO_VIDEO_THERE, "nothing was found at the address")
            if "entries" in info:
                return Listing(tuple(_entries(info, request.max_entries)))
            fetched = _fetched(downloader, info, request, folder)
            half.done()
            return fetched
    except FetchError as error:
        raise _explained(error, permissions, words) from None
    except Exception as error:  # yt-dlp's extractors raise anything at all; each becomes a reason
        raise_if_no_room(error)
        raise _explained(read_fault(error), permissions, words) from None


@dataclass
class _Limits:
    """Looks now and then whether the fetch goes on too long, or brings too much."""

    report: Report
    request: FetchRequest
    started: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Something happened."""
        if time.monotonic() - self.started > self.request.deadline_s:
            raise FetchError(Reason.FETCH_TOO_LONG, f"more than {self.request.deadline_s:g} s")
        self.report(0.0)

    def progress(self, state: dict[str, Any]) -> None:
        """A block arrived."""
        self.look()
        done = state.get("downloaded_bytes") or 0
        total = state.get("total_bytes") or 0
        if max(done, total) > self.request.max_bytes:
            raise FetchError(Reason.TOO_MANY_BYTES, f"more than {self.request.max_bytes} bytes")
        self.report(min(1.0, done / total) if total else 0.0)

    def admit(self, info: dict[str, Any], *, incomplete: bool = False) -> None:
        """What is known before the first byte of the video is fetched."""
        if incomplete:
            return
        if info.get("is_live") or info.get("live_status") in _LIVE:
            raise FetchError(Reason.LIVE_STREAM, "the stream goes on, or has not begun")
        duration_s = info.get("duration") or 0
        if duration_s > self.request.max_duration_s:
            raise FetchError(Reason.TOO_LONG, f"it lasts {duration_s:g} s, more than {self.request.max_duration_s:g}")
        if self.request.licences:
            check_licence(self.request.known_licence or info.get("license"), self.request.licences)


def _options(request: FetchRequest, folder: Path, limits: _Limits, words: _Words) -> dict[str, Any]:
    height = f"[height<=?{request.height}]"
    return {
        # one file; the smallest picture where all are larger than wanted
        "format": f"bv*{height}{_PROTOCOLS}/wv*{_PROTOCOLS}",
        "format_sort": [f"res:{request.height}"],
        "outtmpl": {"default": str(folder / MEDIA).replace("%", "%%")},
        "external_downloader": "native",
        "hls_prefer_native": True,
        "ffmpeg_location": str(folder / "no-ffmpeg"),
        "fixup": "never",
        "skip_unavailable_fragments": False,
        "continuedl": True,
        "updatetime": False,
        "extract_flat": "in_playlist",
        "lazy_playlist": True,
        "playlistend": request.max_entries + 1,
        "default_search": "error",
        "enable_file_urls": False,
        "allow_unplayable_formats": False,
        "match_filter": limits.admit,
        "progress_hooks": [limits.progress],
        # the caller tries again: it starts from the page, whose links may have run out
        "retries": 0, "fragment_retries": 0, "extractor_retries": 0, "file_access_retries": 0,
        "socket_timeout": _SOCKET_S,
        "ratelimit": request.rate_limit,
        "proxy": request.proxy if request.proxy is not None else "",
        "cookiefile": io.StringIO(request.cookies) if request.cookies else None,
        "http_headers": {"Accept-Encoding": "identity"},
        "cachedir": False,
        "usenetrc": False,
        "quiet": True, "no_warnings": False, "noprogress": True, "logger": words, "color": "never",
    }


def _fetched(downloader: Downloader, info: dict[str, Any], request: FetchRequest, folder: Path) -> Fetched:
    media = folder / MEDIA
    if not media.exists():
        raise FetchError(Reason.FETCH_FAILED, "the fetch ended without a file")
    if media.stat().st_size > request.max_bytes:
        raise FetchError(Reason.TOO_MANY_BYTES, f"more than {request.max_bytes} bytes")
    subtitles, notes = [], []
    track = choose_subtitles(info, request.languages)
    if track is not None:
        language, auto, form = track
        name = f"subtitles.{form['ext']}"
        try:
            _fetch_subtitles(downloader, form, folder / name)
            subtitles.append(FetchedSubtitles(name, language, auto))
        except Exception as error:  # subtitles help, but a video is a video without them
            raise_if_no_room(error)
            notes.append(f"subtitles: {read_fault(error).detail}")
    return Fetched(read_facts_of_site(info), tuple(subtitles), tuple(notes))


def _fetch_subtitles(downloader: Downloader, form: dict[str, Any], place: Path) -> None:
    if form.get("data") is not None:
        place.write_text(form["data"], encoding="utf-8")
    elif str(form.get("protocol", "")).startswith("m3u8"):
        downloader.dl(str(place), form, subtitle=True)
        if not place.exists():
            raise FetchError(Reason.FETCH_FAILED, "the subtitles could not be fetched")
    else:
        place.write_bytes(downloader.urlopen(form["url"]).read())


def _entries(info: dict[str, Any], most: int) -> Iterator[ListEntry]:
    """The entries of a playlist, one more than the limit, so that the caller sees that there are more."""
    for entry in itertools.islice(info["entries"] or (), most + 1):
        address = entry and (entry.get("url") or entry.get("webpage_url"))
        if address and isinstance(address, str):
            yield ListEntry(source=address, title=one_line(entry.get("title"), 500))


def _read_list(path: Path, suffix: str, most: int) -> Listing:
    """A list in one of our own formats; here, because a stranger's Parquet may crash its reader."""
    entries: list[ListEntry] = []
    try:
        for _, entry in itertools.islice(read_entries(path, suffix), most + 1):
            entries.append(entry)
    except (ValueError, csv.Error) as error:
        return Listing(tuple(entries), str(error)[:300])
    return Listing(tuple(entries))


def _explained(fault: FetchError, permissions: Permissions, words: _Words) -> FetchError:
    """The fault with what is known besides: a refused connection shows as any other that failed."""
    if permissions.refused_addresses:
        return FetchError(
            Reason.PRIVATE_ADDRESS,
            f"it leads to {permissions.refused_addresses[-1]}; --allow-private-hosts would allow it")
    if permissions.refused_schemes:
        return FetchError(Reason.ADDRESS_NOT_ALLOWED, f"it leads to a {permissions.refused_schemes[-1]} address")
    if any("javascript runtime" in one.lower() for one in words.warnings):
        return FetchError(
            fault.reason,
            f"{fault.detail} (this site needs a JavaScript runtime: in the checkout, pip install -e '.[youtube]')",
            fault.wait_s)
    return fault
