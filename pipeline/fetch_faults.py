"""Why a fetch failed, read from what yt-dlp raised: the reason for `rejected`, and whether to try again."""

import re
from collections.abc import Iterator

from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import ContentTooShortError, GeoRestrictedError, UnsupportedError

from pipeline.fetch_request import FetchError
from pipeline.no_room import no_room_in
from schemas.reasons import Reason

_STATUS = {
    401: Reason.ACCESS_DENIED, 403: Reason.ACCESS_DENIED, 404: Reason.NOT_FOUND, 410: Reason.NOT_FOUND,
    429: Reason.TOO_MANY_REQUESTS, 451: Reason.ACCESS_DENIED,
}
_WORDS = (
    (r"drm|copy protect", Reason.COPY_PROTECTED),
    (r"private video|video is private|has been removed|was removed|no longer available|members[- ]only|"
     r"account .{0,40}terminated|video (is )?(unavailable|not available)|been deleted", Reason.VIDEO_WITHDRAWN),
    (r"live (event|stream|hls)|livestream|premieres? in|is offline|is_live", Reason.LIVE_STREAM),
    (r"redirect loop|infinite loop", Reason.REDIRECT_LOOP),
    (r"sign in|log ?in|cookies|geo.?restrict|not available in your", Reason.ACCESS_DENIED),
    (r"requested format is not available|no video formats|no media|unsupported url", Reason.NO_VIDEO_THERE),
    (r"did not get any data blocks|more expected|downloaded \d+ bytes", Reason.FETCH_BROKE_OFF),
    (r"http error 5\d\d", Reason.SERVER_FAULT),
)


def raise_if_no_room(error: BaseException) -> None:
    """A full disk is no fault of the source: each further one would fail like it.

    Raises:
        OSError: behind the exception lies a full disk, a used-up quota or a disk that became read-only.
    """
    for one in _chain(error):
        no_room = no_room_in(one)
        if no_room is not None:
            raise OSError(no_room.errno, no_room.strerror) from error


def read_fault(error: BaseException) -> FetchError:
    """The fault behind an exception: what lies deepest in its chain of causes counts most."""
    chain = list(_chain(error))
    text = " ".join(str(one) for one in chain).lower()
    for one in chain:
        if isinstance(one, FetchError):
            return one
        if isinstance(one, HTTPError):
            return _by_status(one, text)
    for one in chain:
        if isinstance(one, ContentTooShortError | IncompleteRead):
            return FetchError(Reason.FETCH_BROKE_OFF, _said(error))
        if isinstance(one, UnsupportedError):
            return FetchError(Reason.NO_VIDEO_THERE, "no video was found on the page")
        if isinstance(one, GeoRestrictedError):
            return FetchError(Reason.ACCESS_DENIED, "it is not shown in every country")
        if isinstance(one, MemoryError):
            return FetchError(Reason.TOO_MANY_BYTES, "an answer of the server does not fit in memory")
    for pattern, reason in _WORDS:
        if re.search(pattern, text):
            return FetchError(reason, _said(error))
    if any(isinstance(one, TransportError | TimeoutError | ConnectionError) for one in chain):
        return FetchError(Reason.SERVER_UNREACHABLE, _said(error))
    return FetchError(Reason.FETCH_FAILED, _said(error))


def _by_status(error: HTTPError, text: str) -> FetchError:
    status = int(error.status)
    if "redirect loop" in text or "infinite loop" in text:
        return FetchError(Reason.REDIRECT_LOOP, "it was not followed further")
    if 300 <= status < 400:
        return FetchError(Reason.ADDRESS_NOT_ALLOWED, "it leads to an address that is not fetched")
    reason = _STATUS.get(status, Reason.SERVER_FAULT if status >= 500 else Reason.FETCH_FAILED)
    return FetchError(reason, f"the server answered {status}", _wait_s(error))


def _wait_s(error: HTTPError) -> float | None:
    asked = error.response.headers.get("Retry-After") if error.response is not None else None
    return float(asked) if asked and asked.isdigit() else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it came from; yt-dlp keeps causes in fields of its own."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        info = getattr(one, "exc_info", None)
        waiting += [getattr(one, "cause", None), one.__cause__, one.__context__, info[1] if info else None,
                    *getattr(one, "unexpected_errors", ())]


def _said(error: BaseException) -> str:
    """yt-dlp's own words in one line, without its colours, addresses, paths and requests to report a bug."""
    text = re.sub(r"\x1b\[[0-9;]*m|\r", "", str(error)).strip().splitlines()
    line = re.sub(r"^(ERROR: )?(\[[^\]]+\] )?([\w-]+: )?", "", text[0] if text else "")
    line = re.split(r";? please report this issue|\. See  |\(caused by", line)[0]
    line = re.sub(r"https?://\S+", "the address", line)
    return re.sub(r"(?<![\w.])/[\w./-]+", "a file", line).strip()[:300] or type(error).__name__
