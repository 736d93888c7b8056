"""yt-dlp's one way to the network: the standard library's HTTP, into which `pipeline.address_guard` sees."""

import io
import urllib.response
import zlib
from collections.abc import Callable
from typing import Any

from yt_dlp import YoutubeDL
from yt_dlp.networking._urllib import HTTPHandler, UrllibRH
from yt_dlp.networking.exceptions import HTTPError

from pipeline.fetch_request import FetchError
from pipeline.fetch_resume import HalfFetched
from schemas.reasons import Reason

_PAGE_BYTES = 64 << 20
"""Pages, manifests and lists are read whole: none of them is larger."""


class Downloader(YoutubeDL):
    """yt-dlp with one way to the network, and with whole answers only up to a size."""

    def __init__(self, options: dict[str, Any], look: Callable[[], None], half: HalfFetched) -> None:
        """
        Args:
            options: yt-dlp's.
            look: called now and then while answers arrive; may raise.
            half: what lies half fetched; sees every request and its answer.
        """
        self._look, self._half = look, half
        super().__init__(options)

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        """yt-dlp asks for its ways to the network here."""
        handler = type("_OurRH", (_BoundedRH,), {"look": staticmethod(self._look), "half": self._half})
        return super().build_request_director([handler], None)


class _BoundedRH(UrllibRH):
    """The standard library's HTTP; whole answers only up to a size."""

    look: Callable[[], None]
    half: HalfFetched

    def _create_instance(self, *arguments: Any, **more: Any) -> Any:
        opener = super()._create_instance(*arguments, **more)
        for handler in opener.handlers:
            if isinstance(handler, HTTPHandler):
                handler.http_response = handler.https_response = _unpack_first(handler.http_response)
        return opener

    def _send(self, request: Any) -> Any:
        self.look()
        self.half.ask(request)
        try:
            response = _bounded(super()._send(request), self.look)
        except HTTPError as error:
            _bounded(error.response, self.look)
            raise
        self.half.answered(request, response)
        return response


def _bounded(response: Any, look: Callable[[], None]) -> Any:
    """The answer, its `read()` without a size bounded: an endless page would fill the memory."""
    read = response.read

    def read_some(size: int | None = None) -> bytes:
        if size is not None and size >= 0:
            return read(size)
        pieces, count = [], 0
        while piece := read(1 << 16):
            pieces.append(piece)
            count += len(piece)
            look()
            if count > _PAGE_BYTES:
                raise FetchError(Reason.TOO_MANY_BYTES, f"a page of more than {_PAGE_BYTES >> 20} MB")
        return b"".join(pieces)

    response.read = read_some
    return response


def _unpack_first(then: Callable[..., Any]) -> Callable[..., Any]:
    """A handler of answers that is given them unpacked: yt-dlp unpacks whole, to any size."""

    def handle(request: Any, response: Any) -> Any:
        if response.headers.get("Content-Encoding", "identity") == "identity":
            return then(request, response)
        unpacker = zlib.decompressobj(wbits=47)
        data = unpacker.decompress(response.read(_PAGE_BYTES), _PAGE_BYTES)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise FetchError(Reason.TOO_MANY_BYTES, f"a page that unpacks to more than {_PAGE_BYTES >> 20} MB")
        del response.headers["Content-Encoding"]
        unpacked = urllib.response.addinfourl(io.BytesIO(data), response.headers, response.url, response.status)
        unpacked.msg = response.msg
        return then(request, unpacked)

    return handle
