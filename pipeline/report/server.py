"""The page over the shards themselves, on this machine only: DuckDB answers what the page asks.

A page of another site that a browser has open could send requests here too. So a request must name this server as
its host (else a name that leads here by DNS rebinding would do), must come from this page where it says where it
comes from, and a POST must hold JSON, which another site cannot send unasked.
"""

import re
import threading
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.report.facets import FACETS, SEARCHED
from pipeline.report.locked_sql import LockedSql, SqlNotAllowedError
from pipeline.report.page_data import as_json, summary, summary_script, video_script, videos_script
from pipeline.report.page_version import data_set_version
from pipeline.report.pictures import one_picture
from pipeline.report.report_rows import Pictured, open_report, question_rows
from pipeline.report.review import Review, WrongVoteError

LOOPBACK = "127.0.0.1"
_QUESTIONS_AT_A_TIME = 60
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ReportServer:
    """Answers the page about one data set.

    Args:
        folder: the data set.
        name: what the page calls it.
        port: where it listens on the loopback address.
        review: how many questions to have judged, and the seed to draw them by; None for none.
    """

    def __init__(self, folder: Path, name: str, port: int, review: tuple[int, int] | None = None) -> None:
        self._folder, self._name = folder, name
        self._opening = threading.Lock()
        self._open()
        self.review = Review(self._database, folder, *review) if review else None
        self._addresses = {f"{host}:{port}" for host in (LOOPBACK, "localhost")}
        self._server = uvicorn.Server(uvicorn.Config(
            self.app(), host=LOOPBACK, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1))

    def _open(self) -> None:
        self._version = data_set_version(self._folder)
        self._database = open_report(self._folder)
        self._locked = LockedSql(self._folder)

    def _open_anew_after_a_build(self) -> None:
        """Asked when the page is loaded. Requests that are on their way keep the database that they began with."""
        with self._opening:
            finished = (self._folder / "manifest.json").is_file()  # while a build puts its files in place it is not
            if finished and data_set_version(self._folder) != self._version:
                self._open()

    def run(self) -> None:
        """Serve until Ctrl-C, or until the page says that the review is finished."""
        self._server.run()
        self._database.close()

    def app(self) -> Starlette:
        """The routes."""
        page = str(files("pipeline.report") / "page")
        routes = [
            Route("/", lambda request: FileResponse(f"{page}/index.html")),
            Route("/data/{file}", self._data),
            Route("/pictures/{video:int}/{file}", self._picture),
            Route("/api/questions", self._questions),
            Route("/api/sql", self._sql, methods=["POST"]),
            Mount("/script", StaticFiles(directory=f"{page}/script")),
            Mount("/style", StaticFiles(directory=f"{page}/style")),
        ]
        if self.review:
            routes += [Route("/api/review", self._review), Route("/api/vote", self._vote, methods=["POST"]),
                       Route("/api/finish", self._finish, methods=["POST"])]
        return Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._guard)])

    async def _guard(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse what did not come from this page; tell the browser to trust nothing but it."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        is_ours = host in self._addresses and origin in (None, f"http://{host}") and (
            request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"))
        is_json = request.headers.get("content-type", "").split(";")[0] == "application/json"
        if not is_ours or (request.method == "POST" and not is_json):
            return JSONResponse({"error": "this server answers its own page only"}, 403)
        response = await call_next(request)
        response.headers.update(_SECURITY)
        return response

    async def _data(self, request: Request) -> Response:
        script = await run_in_threadpool(self._script, request.path_params["file"])
        return Response(script, media_type="text/javascript") if script else _nothing_there()

    def _script(self, file: str) -> str | None:
        if file == "summary.js":
            self._open_anew_after_a_build()
            return summary_script(summary(
                self._database.cursor(), self._folder, self._name, served=True, review=bool(self.review),
                version=self._version))
        found = re.fullmatch(r"(videos?)-(\d{1,9})\.js", file)
        if found is None:
            return None
        make = videos_script if found[1] == "videos" else video_script
        return make(self._database.cursor(), int(found[2]))

    async def _picture(self, request: Request) -> Response:
        found = re.fullmatch(r"(clip|frame)-(\d{1,9})\.jpg", request.path_params["file"])
        if found is None:
            return _nothing_there()
        wanted = Pictured(request.path_params["video"], found[1], int(found[2]))
        jpeg = await run_in_threadpool(one_picture, self._database.cursor(), wanted)
        return Response(jpeg, media_type="image/jpeg") if jpeg else _nothing_there()

    async def _questions(self, request: Request) -> Response:
        return await run_in_threadpool(self._found, dict(request.query_params))

    def _found(self, asked: dict[str, str]) -> Response:
        conditions, values = ["true"], []
        for name, sql in FACETS.items():
            if name in asked:
                conditions.append(f"({sql}) = ?")
                values.append(asked[name])
        if "id" in asked:
            conditions.append("sample_id = ?")
            values.append(asked["id"])
        for word in asked.get("q", "").split():
            conditions.append(f"contains(lower({SEARCHED}), lower(?))")
            values.append(word)
        where = " AND ".join(conditions)
        database = self._database.cursor()
        (total,) = database.execute(f"SELECT count(*) FROM questions WHERE {where}", values).fetchone()
        offset = asked.get("offset", "0")
        rows = question_rows(database, where, values, _QUESTIONS_AT_A_TIME, int(offset) if offset.isdecimal() else 0)
        return _json({"rows": rows, "total": total})

    async def _sql(self, request: Request) -> Response:
        body = await request.json()
        try:
            return _json(await run_in_threadpool(self._locked.answer, str(body["sql"])))
        except (SqlNotAllowedError, duckdb.Error) as error:
            return JSONResponse({"error": str(error)}, 400)

    async def _review(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self.review.state))

    async def _vote(self, request: Request) -> Response:
        body = await request.json()
        try:
            return _json(await run_in_threadpool(self.review.cast, str(body["sample_id"]), str(body["vote"])))
        except WrongVoteError as error:
            return JSONResponse({"error": str(error)}, 400)

    async def _finish(self, request: Request) -> Response:
        self._server.should_exit = True
        return _json(self.review.state())


def _json(value: Any) -> Response:
    return Response(as_json(value), media_type="application/json")


def _nothing_there() -> Response:
    return JSONResponse({"error": "there is nothing of this name"}, 404)
