"""The catalogue holds what is in the data set; what a build adds is under way until it has come to its end."""

import stat
from pathlib import Path

from pipeline.catalogue import address, forget, read_catalogue, read_under_way, write_catalogue, write_under_way
from schemas.records import Source


def _source(name: str) -> Source:
    return Source(path=f"/films/{name}", source=name)


def test_sources_are_under_way_until_the_catalogue_holds_them(tmp_path: Path) -> None:
    old, new, strange = _source("old.mp4"), _source("new.mp4"), _source("\udcff.mp4")
    write_catalogue(tmp_path, [old], {address(old): "a" * 32})
    write_under_way(tmp_path, [new, strange])
    assert read_under_way(tmp_path) == [new, strange]
    catalogue = read_catalogue(tmp_path)
    assert catalogue.video_ids == {address(old): "a" * 32}
    assert catalogue.with_new([new, old]) == [new, old]
    write_catalogue(tmp_path, [new, old], {})
    assert read_under_way(tmp_path) == []
    assert set(read_catalogue(tmp_path).sources.values()) == {new, old}


def test_only_the_owner_may_read_addresses(tmp_path: Path) -> None:
    write_under_way(tmp_path, [Source(path="", source="film", url="https://host/film.mp4?token=secret")])
    assert stat.S_IMODE((tmp_path / "under_way.jsonl").stat().st_mode) == 0o600


def test_what_is_forgotten_is_left_out_for_good(tmp_path: Path) -> None:
    one, other = _source("one.mp4"), _source("other.mp4")
    write_catalogue(tmp_path, [one, other], {address(one): "a" * 32, address(other): "b" * 32})
    forget(tmp_path, ["a" * 32])
    forget(tmp_path, ["c" * 32])
    catalogue = read_catalogue(tmp_path)
    assert catalogue.forgotten == {"a" * 32, "c" * 32}
    assert catalogue.with_new([one]) == [other]
