"""What a site says of a video: all of it is kept, and none of it is believed too far."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.fetch import fetch
from pipeline.fetch_facts import choose_subtitles, read_facts_of_site
from pipeline.fetch_request import MEDIA, Fetched, FetchError, FetchRequest
from pipeline.killable_worker import KillableWorker
from schemas.reasons import Reason
from schemas.records import Chapter
from tests.fetch_server import VTT, FetchServer, fetch_server
from tests.film_site import FILM, plugin_on_path, write_film
from tests.numbered_videos import write_numbered


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FetchServer]:
    folder = tmp_path_factory.mktemp("served")
    write_numbered(folder / "small.mp4", "constant", 50, 320, 180)
    (folder / "small.vtt").write_text(VTT)
    with fetch_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    with plugin_on_path():
        yield worker
    worker.close()


def _fetch(worker: KillableWorker, server: FetchServer, path: str, folder: Path, **more: Any) -> Fetched:
    request = FetchRequest(
        url=server.url(path), height=360, max_bytes=5_000_000, max_duration_s=3600.0, deadline_s=60.0, max_entries=10,
        languages=("en",), allowed_hosts=(server.allowed,))
    return worker.run(fetch, replace(request, **more), folder, stall_seconds=30)


def test_all_that_a_site_says_is_kept(worker: KillableWorker, server: FetchServer, tmp_path: Path) -> None:
    write_film(server.folder, "film")
    server.requests.clear()
    fetched = _fetch(worker, server, "site/film", tmp_path)
    facts = fetched.facts
    assert (facts.title, facts.uploader, facts.published) == (FILM["title"], FILM["uploader"], date(2024, 2, 29))
    assert (facts.license, facts.language, facts.domain) == ("cc-by", "de", "Science & Technology")
    assert facts.chapters == (
        Chapter(start_s=0.0, end_s=1.0, title="Before"), Chapter(start_s=1.0, end_s=2.0, title=None))
    assert [(one.language, one.auto) for one in fetched.subtitles] == [("de", False)]
    assert (tmp_path / fetched.subtitles[0].name).read_text() == VTT
    assert {path for path, _ in server.requests} == {"site/film", "small.mp4", "small.vtt"}, "too large, or too much"
    assert (tmp_path / MEDIA).read_bytes() == (server.folder / "small.mp4").read_bytes()


@pytest.mark.parametrize(("says", "reason"), [
    ({"license": None}, Reason.NO_LICENCE), ({"license": "Standard"}, Reason.OTHER_LICENCE),
    ({"is_live": True}, Reason.LIVE_STREAM), ({"live_status": "is_upcoming"}, Reason.LIVE_STREAM),
    ({"duration": 1e7}, Reason.TOO_LONG), ({"formats": []}, Reason.NO_VIDEO_THERE),
    ({"formats": [{"url": "file:///etc/passwd", "ext": "mp4"}]}, None),
    ({"formats": [{"url": "rtmp://127.0.0.1/x", "ext": "flv"}]}, Reason.NO_VIDEO_THERE),
    ({"formats": [{"url": "/small.mp4", "ext": "mp4", "has_drm": True}]}, Reason.COPY_PROTECTED),
])
def test_what_a_site_says_can_leave_a_video_out(
    worker: KillableWorker, server: FetchServer, tmp_path: Path, says: dict[str, Any], reason: Reason | None
) -> None:
    write_film(server.folder, "bad", **says)
    server.requests.clear()
    with pytest.raises(FetchError) as caught:
        _fetch(worker, server, "site/bad", tmp_path, licences=("cc-by",))
    assert caught.value.reason is reason or reason is None
    assert {path for path, _ in server.requests} == {"site/bad"}, "nothing is fetched in vain"
    assert not (tmp_path / MEDIA).exists()


def test_subtitles_of_people_come_before_those_of_machines_and_the_videos_language_first() -> None:
    def track(name: str) -> list[dict[str, str]]:
        return [{"ext": "ttml", "url": "x"}, {"ext": "vtt", "url": name}]

    def chosen(language: str | None, written: list[str], machine: list[str], *wished: str) -> str | None:
        found = choose_subtitles({
            "language": language, "subtitles": {name: track(name) for name in written},
            "automatic_captions": {name: track(f"auto-{name}") for name in machine}}, wished)
        return found and found[2]["url"]

    assert chosen("de", ["en", "de-DE"], ["de"], "en") == "de-DE"
    assert chosen("de", ["en"], ["de"], "en") == "en"
    assert chosen("de", [], ["en", "de"], "en") == "auto-de"
    assert chosen(None, ["fr"], ["en"], "en") == "fr"
    assert chosen(None, ["live_chat"], ["fr"], "en") is None, "a translation by a machine is no subtitle"


@pytest.mark.parametrize("said", [
    {}, {"title": 3, "categories": None, "chapters": None}, {"upload_date": "20241399"}, {"upload_date": "today"},
    {"title": "\ud800\x00\n"}, {"chapters": [{}, {"start_time": float("nan"), "end_time": 2}]},
    {"chapters": [{"start_time": 3, "end_time": 2}, {"start_time": -1, "end_time": 2}]},
    {"chapters": [{"start_time": 0, "end_time": float("inf")}, {"start_time": "0", "end_time": "1"}]},
])
def test_what_makes_no_sense_says_nothing(said: dict[str, Any]) -> None:
    facts = read_facts_of_site(said)
    assert (facts.title, facts.domain, facts.published, facts.chapters) == (None, None, None, ())


def test_words_of_a_site_are_one_line_of_bounded_length() -> None:
    facts = read_facts_of_site({
        "title": "a\nb\x00c" * 1000, "uploader": "x" * 10_000, "chapters": [{"start_time": 0, "end_time": 1}] * 20_000})
    assert facts.title.startswith("a b c")
    assert (len(facts.title), len(facts.uploader), len(facts.chapters)) == (500, 300, 10_000)
