"""As much of the Hugging Face hub as huggingface_hub's client asks of it when a folder is uploaded.

Small files go inside the commit (`uploadMode` regular), so its lines hold all that was sent.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What the hub was sent and holds."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    refuses: bool = False


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub on this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if "/tree/" in path:
            self._answer([{"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                          for name, content in self.hub.files.items()])
        else:
            self._answer({"id": path.removeprefix("/api/datasets/").split("/revision")[0], "sha": "0" * 40,
                          "siblings": [{"rfilename": name} for name in self.hub.files], "private": False})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        if self.hub.refuses:
            self._answer({"error": "You don't have the rights to create a dataset here"}, 403)
        elif self.path.endswith("/repos/create"):
            self._answer({"url": f"{self.hub.url}/datasets/{json.loads(body)['organization']}/films"})
        elif "/preupload/" in self.path:
            self._answer({"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                                    for file in json.loads(body)["files"]]})
        elif "/commit/" in self.path:
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._answer({"errors": [], "warnings": []})

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                self.hub.files.pop(value["path"])
        self._answer({"commitUrl": f"{self.hub.url}/datasets/me/films/commit/{'1' * 40}", "commitOid": "1" * 40,
                      "success": True})

    def _answer(self, value: Any, code: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""
