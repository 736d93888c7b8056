"""Going on with a half-fetched video, unless what lies on the server is another version by now.

Two versions joined would be a video that nobody made. A file is known by what its server says of it (RFC 9110: entity
tag, last change, size), which is asked for again with `If-Range`; a stream of segments by what its playlist names.
Where a server says nothing of its file, the fetch begins anew.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yt_dlp.networking import Request
from yt_dlp.postprocessor.common import PostProcessor

from pipeline.fetch_request import MEDIA, FetchError
from schemas.reasons import Reason

_STATE = "half.json"
_CHANGING = re.compile(r"https?://[^/\"'\s]+|\?[^\"'\s]*")
"""Servers and signatures change from day to day, and say nothing of what is served."""


class HalfFetched:
    """What lies half fetched in a folder, and of which version it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._url: str | None = None

    def begin(self, info: dict[str, Any], read: Callable[[Request], bytes]) -> None:
        """Drop what is no part of the video that is about to be fetched.

        Args:
            info: what yt-dlp knows of the video, its format chosen.
            read: gives the body of an answer.
        """
        for fragment in self._folder.glob(f"{MEDIA}.part-Frag*"):
            fragment.unlink()  # small, and nobody knows of which version
        request = Request(info["url"], headers=info.get("http_headers") or {})
        plan = json.dumps([info.get("format_id"), info.get("ext"), _segments(info, request, read)])
        state = self._state()
        is_one_file = not _is_playlist(info) and not info.get("fragments")
        if state is None or state["plan"] != plan or (is_one_file and not _validator(state)):
            self._drop()
            self._write({"plan": plan})
        self._url = request.url if is_one_file else None

    def ask(self, request: Request) -> None:
        """Have the server send all of the file where it is no longer the one that is half here."""
        if self._is_ours(request) and "Range" in request.headers:
            validator = _validator(self._state() or {})
            if validator:
                request.headers["If-Range"] = validator

    def answered(self, request: Request, response: Any) -> None:
        """Look at an answer before its first byte is kept.

        Raises:
            FetchError: the rest of another version came, although it was not asked for; the next try begins anew.
        """
        if not self._is_ours(request):
            return
        state = self._state() or {}
        now = _version(response)
        if _same(state, now):
            return
        is_part = (self._folder / f"{MEDIA}.part").exists()
        self._drop()
        self._write({"plan": state.get("plan"), **now})
        if is_part and not (response.status == 200 and "Range" in request.headers):
            response.close()
            raise FetchError(Reason.FETCH_BROKE_OFF, "the file changed on the server while it was fetched")

    def done(self) -> None:
        """The video is whole."""
        (self._folder / _STATE).unlink(missing_ok=True)

    def _is_ours(self, request: Request) -> bool:
        return self._url is not None and request.url == self._url

    def _drop(self) -> None:
        for name in (f"{MEDIA}.part", f"{MEDIA}.ytdl"):
            (self._folder / name).unlink(missing_ok=True)

    def _state(self) -> dict[str, Any] | None:
        try:
            return json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # a killed process may have left half a line
            return None

    def _write(self, state: dict[str, Any]) -> None:
        (self._folder / _STATE).write_text(json.dumps(state), encoding="utf-8")


class BeforeDownload(PostProcessor):
    """Where yt-dlp tells that a download is about to begin."""

    def __init__(self, downloader: Any, half: HalfFetched) -> None:
        super().__init__(downloader)
        self._half = half

    def run(self, information: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """Called by yt-dlp."""
        self._half.begin(information, lambda request: self._downloader.urlopen(request).read())
        return [], information


def _is_playlist(info: dict[str, Any]) -> bool:
    return str(info.get("protocol", "")).startswith("m3u8")


def _segments(info: dict[str, Any], request: Request, read: Callable[[Request], bytes]) -> str:
    """What a stream consists of, without what changes from day to day; nothing for a file."""
    if _is_playlist(info):
        return _CHANGING.sub("", read(request).decode("utf-8", "replace"))
    named = [[one.get("path") or one.get("url"), one.get("duration")] for one in info.get("fragments") or ()]
    return _CHANGING.sub("", json.dumps(named))


def _version(response: Any) -> dict[str, Any]:
    """What a server says of a file."""
    total = re.search(r"/(\d+)$", response.headers.get("Content-Range") or "") if response.status == 206 else None
    length = total[1] if total else response.headers.get("Content-Length") if response.status == 200 else None
    return {"etag": response.headers.get("ETag"), "changed": response.headers.get("Last-Modified"), "size": length}


def _validator(state: dict[str, Any]) -> str | None:
    """What `If-Range` can ask for: a weak tag says nothing of bytes."""
    etag = state.get("etag")
    return etag if etag and not etag.startswith("W/") else state.get("changed")


def _same(state: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether nothing that was said both times differs, and something was."""
    known = [name for name in ("etag", "changed", "size") if state.get(name) and now[name]]
    return bool(known) and all(state[name] == now[name] for name in known)
