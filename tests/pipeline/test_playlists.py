"""From lists to sources: what a stranger's list may name, and how far lists in lists are followed."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.fetch_request import Listing
from pipeline.playlists import sources_in
from pipeline.sources import ListEntry, SourceError, find_sources
from schemas.reasons import Reason
from schemas.records import Source

PARENT = Source(path="", source="https://e.org/lists/a.csv", url="https://e.org/lists/a.csv", license="cc-by")


def _listing(*addresses: str, fault: str | None = None) -> Listing:
    return Listing(tuple(ListEntry(source=address) for address in addresses), fault)


def test_entries_take_over_what_the_users_list_says() -> None:
    found, rejected = sources_in(PARENT, _listing("b.mp4", "https://f.org/c.mp4", "https://f.org/c.mp4"), 10)
    assert [(one.url, one.license, one.fetched_lists) for one in found] == [
        ("https://e.org/lists/b.mp4", "cc-by", 1), ("https://f.org/c.mp4", "cc-by", 1)]
    assert rejected == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "/etc/passwd", "ftp://e.org/x", "ytsearch://x", "data://x"])
def test_what_a_stranger_may_not_name_is_left_out(address: str) -> None:
    found, rejected = sources_in(PARENT, _listing(address, "b.mp4"), 10)
    assert len(found) == 1
    assert [(row.reason, row.raw) for row in rejected] == [(Reason.ADDRESS_NOT_ALLOWED, address)]


def test_a_path_above_the_list_stays_on_its_server() -> None:
    found, _ = sources_in(PARENT, _listing("../../../../etc/passwd"), 10)
    assert found[0].url == "https://e.org/etc/passwd"


def test_lists_have_an_end() -> None:
    found, rejected = sources_in(PARENT, _listing("a.mp4", "b.mp4", "c.mp4", fault="line 4: no"), 2)
    assert len(found) == 2
    assert [row.reason for row in rejected] == [Reason.LIST_UNREADABLE] * 2
    found, rejected = sources_in(replace(PARENT, fetched_lists=3), _listing("a.csv"), 2)
    assert (found, len(rejected)) == ([], 1)


def test_a_film_list_names_youtube_ids(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text(
        "youtube_id,film,year,licence\nabcdefghij1,A film,1999,cc-by\nabcdefghij1,A film,1999,cc-by\n")
    source, = find_sources([str(tmp_path / "films.csv")])
    assert (source.url, source.title, source.license) == (
        "https://www.youtube.com/watch?v=abcdefghij1", "A film (1999)", "cc-by")
    (tmp_path / "bad.csv").write_text("youtube_id,film\nabc&list=x,A film\n")
    with pytest.raises(SourceError, match="no YouTube id"):
        find_sources([str(tmp_path / "bad.csv")])


def test_a_parquet_list_says_the_same(tmp_path: Path) -> None:
    rows = [{"url": "https://me:secret@e.org/a.mp4?token=1", "title": "A", "genre": "film"},
            {"url": "b.mp4", "title": None, "genre": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "list.parquet")
    local, web = find_sources([str(tmp_path / "list.parquet")])
    assert (web.source, web.url, web.domain) == ("https://e.org/a.mp4", rows[0]["url"], "film")
    assert (local.source, local.url) == ("b.mp4", None)


def test_subtitles_beside_a_file_are_found(tmp_path: Path) -> None:
    for name in ("film.mp4", "film.en.srt", "film.srt", "film.two.mp4", "film.two.de.vtt", "other.srt", "film2.srt"):
        (tmp_path / name).touch()
    found = {one.source: [(Path(file.path).name, file.language) for file in one.subtitle_files]
             for one in find_sources([str(tmp_path)])}
    assert found["film.mp4"] == [("film.en.srt", "en"), ("film.srt", None)]
    assert found["film.two.mp4"] == [("film.two.de.vtt", "de")]
