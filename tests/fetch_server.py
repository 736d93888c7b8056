"""A web server with one video and every fault a stranger's server can have; and a canary that must stay silent."""

import gzip
import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nA red square moves to the right.\n"
_BLOCK = 1 << 16


@dataclass
class FetchServer:
    """Serves the files of a folder, and faults, on 127.0.0.1; remembers what it was asked."""

    folder: Path
    slow_bytes_per_s: int = 200_000
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request."""
    headers: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and all headers of every request."""
    began: list[tuple[str, float]] = field(default_factory=list)
    """Path and time (monotonic) of every request."""
    port: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    missing: str | None = None
    """A path that is not there for the time being."""

    def url(self, path: str) -> str:
        """The address of a path on this server."""
        return f"http://127.0.0.1:{self.port}/{path}"

    @property
    def allowed(self) -> str:
        """What `--allow-private-hosts` must be told."""
        return f"127.0.0.1:{self.port}"

    def asked(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a path."""
        return [range_ for name, range_ in self.requests if name == path]


@contextmanager
def fetch_server(folder: Path, **how: int) -> Iterator[FetchServer]:
    """The server, for the time of a block."""
    state = FetchServer(folder, **how)
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Canary:
    """Listens where nobody may go."""

    port: int
    visits: list[str] = field(default_factory=list)


@contextmanager
def canary(host: str = "127.0.0.1") -> Iterator[Canary]:
    """A listening socket that writes down every connection, for the time of a block."""
    listener = socket.create_server((host, 0))
    bird = Canary(listener.getsockname()[1])
    stop = threading.Event()
    listener.settimeout(0.05)

    def listen() -> None:
        while not stop.is_set():
            try:
                connection, who = listener.accept()
            except TimeoutError:
                continue
            bird.visits.append(str(who))
            connection.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield bird
    finally:
        time.sleep(0.1)  # a connection that is under way is still heard
        stop.set()
        thread.join()
        listener.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FetchServer
    tag: str | None = None

    def log_message(self, *_: object) -> None:
        """The tests read `requests`."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        name = unquote(parts.path.lstrip("/"))
        self.tag = None
        self.query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.state.requests.append((name, self.headers.get("Range")))
        self.state.began.append((name, time.monotonic()))
        self.state.headers.append((name, dict(self.headers.items())))
        self.state.counts[name] = self.state.counts.get(name, 0) + 1
        first, _, rest = name.partition("/")
        try:
            answer = getattr(self, f"_{first.replace('-', '_')}", None)
            if answer is not None:
                answer(rest)
            else:
                self._file(self.state.folder / name)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # what works

    def _file(self, path: Path, pace: int | None = None, most: float | None = None) -> None:
        if not path.is_file() or path == self.state.folder / (self.state.missing or "."):
            self._text("nothing here", status=404)
            return
        data = path.read_bytes()
        start = 0
        self.tag = f'"{hashlib.sha256(data).hexdigest()}"' if self.query.get("tags", "yes") == "yes" else None
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        is_whole = "If-Range" in self.headers and self.headers["If-Range"] != self.tag
        if asked and (not is_whole or "deaf" in self.query):
            start = int(asked[1])
            if start >= len(data):
                self._text("", status=416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self._headers(_kind(path), len(data) - start)
        if most is not None:
            self.wfile.write(data[start:int(len(data) * most)])
            self.close_connection = True
            return
        for at in range(start, len(data), _BLOCK if pace is None else pace // 20):
            self.wfile.write(data[at:at + (_BLOCK if pace is None else pace // 20)])
            if pace is not None:
                time.sleep(0.05)

    def _slow(self, name: str) -> None:
        """A file at a modest pace."""
        self._file(self.state.folder / name, self.state.slow_bytes_per_s)

    def _page(self, name: str) -> None:
        """A page that shows a video, with subtitles in a language of a hostile name."""
        language, words = self.query.get("language", "en"), self.query.get("words", "/words/en.vtt")
        self._text(f"""<html><head><title>{self.query.get('title', 'A page')}</title></head><body><video>
            <source src="/{name}" type="video/mp4"/>
            <track kind="subtitles" srclang="{language}" src="{words}"/></video></body></html>""")

    def _words(self, name: str) -> None:
        self._text(VTT, "text/vtt")

    def _breaks(self, name: str) -> None:
        """A file of which the first half comes, until it is asked for whole."""
        self._file(self.state.folder / name, most=None if "whole" in self.query else 0.5)

    def _redirect(self, name: str) -> None:
        self.send_response(302)
        self.send_header("Location", self.query.get("to", f"/{name}"))
        self._headers("text/plain", 0)

    def _playlist_to(self, name: str) -> None:
        """An HLS playlist whose only segment lies somewhere else."""
        self._text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{self.query['to']}\n#EXT-X-ENDLIST\n", _M3U8)

    def _site(self, name: str) -> None:
        """What a site says of a video; see `tests/site_plugin`."""
        self._text((self.state.folder / f"{name}.json").read_text(), "application/json")

    def _list(self, name: str) -> None:
        self._text(self.query["text"], "text/csv")

    # what does not

    def _status(self, code: str) -> None:
        self._text("no", status=int(code.removesuffix(".mp4")))

    def _later(self, name: str) -> None:
        """A server that is busy the first times."""
        if self.state.counts[f"later/{name}"] <= int(self.query.get("times", 2)):
            self._text("busy", status=int(self.query.get("status", 503)))
        else:
            self._file(self.state.folder / name)

    def _loop(self, name: str) -> None:
        self.send_response(302)
        self.send_header("Location", f"/loop/{int(name.removesuffix('.mp4')) + 1}.mp4")
        self._headers("text/plain", 0)

    def _endless(self, name: str) -> None:
        """Bytes without end, as a video or as a page."""
        kind = {"mp4": "video/mp4", "html": "text/html"}[name.rsplit(".", 1)[1]]
        self._start_endless(kind)
        self.wfile.write(b"<html><body>" if kind == "text/html" else b"\0\0\0\x20ftypisom")
        while True:
            self.wfile.write(b"x" * _BLOCK)

    def _bomb(self, name: str) -> None:
        """A page of 256 MB that travels as one."""
        packed = gzip.compress(b"<html>" + b" " * (1 << 28), 1)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self._headers("text/html", len(packed))
        self.wfile.write(packed)

    def _drip(self, name: str) -> None:
        """A little now and then: never silent, never done."""
        self._start_endless("video/mp4")
        while True:
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            time.sleep(0.1)

    def _silent(self, name: str) -> None:
        """An answer that never comes."""
        time.sleep(3600)

    def _half(self, name: str) -> None:
        """Stops half way through what is left, and heals after some times."""
        path = self.state.folder / name
        if self.state.counts[f"half/{name}"] > int(self.query.get("times", 1000)):
            self._file(path)
            return
        data = path.read_bytes()
        self.tag = f'"{hashlib.sha256(data).hexdigest()}"'
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self._headers("video/mp4", len(data) - start)
        self.wfile.write(data[start:start + (len(data) - start) // 2])
        self.close_connection = True

    def _wrong_length(self, name: str) -> None:
        """Promises some bytes more, or fewer, than there are."""
        data = (self.state.folder / name).read_bytes()
        self.send_response(200)
        self._headers("video/mp4", len(data) + int(self.query["by"]))
        self.wfile.write(data)
        self.close_connection = True

    def _claims_huge(self, name: str) -> None:
        self.send_response(200)
        self._headers("video/mp4", 1 << 50)
        self.wfile.write(b"\0" * _BLOCK)
        self.close_connection = True

    def _text_as(self, name: str) -> None:
        """A page that says it is a video."""
        self._text("<html><body>Not a video at all.</body></html>", "video/mp4")

    def _plain_page(self, name: str) -> None:
        self._text("<html><head><title>Home</title></head><body>Hello.</body></html>")

    def _said(self, name: str) -> None:
        """Whatever is asked for, of whatever kind."""
        self._text(self.query["words"], self.query.get("kind", "text/html"))

    def _live(self, name: str) -> None:
        """An HLS playlist that goes on."""
        self._text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\n/hls/0.ts\n", _M3U8)

    def _drm(self, name: str) -> None:
        key = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key",KEYFORMAT="com.apple.streamingkeydelivery"'
        self._text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{key}\n#EXTINF:4,\n/hls/0.ts\n#EXT-X-ENDLIST\n", _M3U8)

    def _text(self, text: str, kind: str = "text/html", status: int = 200) -> None:
        data = text.encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self._headers(kind, len(data))
        self.wfile.write(data)

    def _headers(self, kind: str, length: int) -> None:
        if self.tag is not None:
            self.send_header("ETag", self.tag)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def _start_endless(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True


_M3U8 = "application/vnd.apple.mpegurl"
_KINDS = {
    ".mp4": "video/mp4", ".mpd": "application/dash+xml", ".m3u8": _M3U8, ".ts": "video/mp2t",
    ".vtt": "text/vtt", ".csv": "text/csv",
}


def _kind(path: Path) -> str:
    return _KINDS.get(path.suffix, "application/octet-stream")
