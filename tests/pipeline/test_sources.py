"""What names on a command line stand for."""

import json
import os
from datetime import date
from pathlib import Path

import pytest

from pipeline.sources import SourceError, find_sources
from schemas.records import Source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that are never opened here."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.MKV", "notes.md", "deep/er/c.webm", "deep/.hidden/d.mp4", "deep/.e.mp4", "odd.data"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def _said(found: list[Source]) -> list[str]:
    return [source.source for source in found]


def test_a_folder_is_searched_through_but_not_its_hidden_parts(folder: Path) -> None:
    found = find_sources([str(folder)])
    assert _said(found) == ["a.MKV", "b.mp4", "deep/er/c.webm"]
    assert [Path(source.path) for source in found] == [folder / name for name in _said(found)]


def test_a_file_that_is_named_may_be_called_anything(folder: Path) -> None:
    assert _said(find_sources(["odd.data"])) == ["odd.data"]


def test_every_path_counts_once_however_it_is_named(folder: Path) -> None:
    (folder / "link.mp4").symlink_to("b.mp4")
    (folder / "list.txt").write_text("b.mp4\n./deep/../b.mp4\n")
    assert _said(find_sources(["b.mp4", "./b.mp4", str(folder / "b.mp4"), "link.mp4", "list.txt"])) == ["b.mp4"]


def test_the_order_does_not_depend_on_how_sources_are_named(folder: Path) -> None:
    assert find_sources(["b.mp4", "a.MKV"]) == find_sources(["a.MKV", "b.mp4"])


@pytest.mark.parametrize(("entry", "said"), [
    ("b.mp4", "b.mp4"), ("deep/er/c.webm", "deep/er/c.webm"), ("../elsewhere/x.mp4", "x.mp4"),
    ("/srv/films/x.mp4", "x.mp4"), ("deep/../../x.mp4", "x.mp4"), ("gone.mp4", "gone.mp4"),
])
def test_the_output_never_names_a_path_outside_the_list(folder: Path, entry: str, said: str) -> None:
    (folder / "deep" / "list.txt").write_text(entry + "\n")
    assert _said(find_sources(["deep/list.txt"])) == [said]


def test_lists_of_every_kind_say_the_same(folder: Path) -> None:
    values = {"source": "b.mp4", "title": 'A, "b"\nand c', "domain": "film", "language": "en", "license": "PD",
              "uploader": "me", "published": "2020-01-31"}
    (folder / "list.jsonl").write_text(json.dumps(values) + "\r\n\r\n")
    (folder / "list.csv").write_bytes(
        "\ufeffsource,title,domain,language,licence,uploader,published,extra\r\n"
        "b.mp4,\"A, \"\"b\"\"\nand c\",film,en,PD,me,2020-01-31,ignored\r\n".encode())
    wanted = [Source(path=str(folder / "b.mp4"), **{**values, "published": date(2020, 1, 31)})]
    assert find_sources(["list.jsonl"]) == wanted
    assert find_sources(["list.csv"]) == wanted


@pytest.mark.parametrize("column", ["source", "path", "video", "file"])
def test_the_column_of_the_path_has_many_names(folder: Path, column: str) -> None:
    (folder / "list.csv").write_text(f"title,{column}\nx,b.mp4\n")
    assert _said(find_sources(["list.csv"])) == ["b.mp4"]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("list.jsonl", b'{"source": "a\\u0000b.mp4"}\n', ["line 1", "source"]),
    ("list.jsonl", b'{"source": ""}\n', ["line 1", "source"]),
    ("list.jsonl", b'\n"b.mp4"\n', ["line 2"]),
    ("list.jsonl", b'{"source": "b.mp4", "title": "\\ud800"}\n', ["line 1 is not JSON", "hex escape"]),
    ("list.txt", b"caf\xe9.mp4\n", ["utf-8"]),
    ("list.csv", b"name,title\nb.mp4,x\n", ["line 2", "source"]),
    ("list.csv", b'source,published\n"b.mp4","\n\n2020"\n', ["line 4", "published"]),
])
def test_a_fault_in_a_list_is_told_with_its_line(folder: Path, name: str, content: bytes, words: list[str]) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        find_sources([name])
    assert [word for word in [name, *words] if word not in str(caught.value)] == [], caught.value


def test_a_name_that_is_no_text_can_be_given_as_a_url(folder: Path) -> None:
    path = folder / os.fsdecode(b"caf\xe9 #1?.mp4")
    path.touch()
    found, = find_sources([path.as_uri()])
    assert (found.path, found.source) == (str(path), "caf\ufffd #1?.mp4")


@pytest.mark.parametrize(("name", "words"), [
    ("bb.mp4", r"did you mean b\.mp4"), ("nowhere/c.mp4", "no folder nowhere"),
    ("ftp://example.org/a.mp4", "http, https, s3, gs and hf are"),
])
def test_what_does_not_exist_is_told(folder: Path, name: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        find_sources(["b.mp4", name])
