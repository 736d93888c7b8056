"""A page is written where it shows something else than the data set holds, and says what it shows."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pipeline.report.command import run
from pipeline.report.page_version import data_set_version
from pipeline.report.refresh import refresh_page
from pipeline.review_votes import write_votes
from tests.generated_sets import write_generated_set


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    write_generated_set(tmp_path / "set", videos=2, samples=10)
    return tmp_path / "set"


def _refresh(folder: Path) -> Path | None:
    return refresh_page(lambda share: None, folder, 5)


def _noted(page: Path) -> dict[str, object]:
    return json.loads((page / "version.json").read_text())


def test_the_version_is_the_manifests(data_set: Path) -> None:
    page = _refresh(data_set)
    sha256 = hashlib.sha256((data_set / "manifest.json").read_bytes()).hexdigest()
    assert data_set_version(data_set) == sha256[:12] == _noted(page)["data_set"]
    assert f'"version":"{sha256[:12]}"' in (page / "data" / "summary.js").read_text()


def test_a_page_that_shows_this_very_data_set_is_left_alone(data_set: Path) -> None:
    page = _refresh(data_set)
    assert page == data_set / "report"
    before = page.stat().st_ino
    assert _refresh(data_set) == page
    assert page.stat().st_ino == before
    write_votes(data_set, {"a": {"sample_id": "a", "vote": "right", "seed": 0}})
    _refresh(data_set)
    assert page.stat().st_ino != before


def test_after_a_build_the_page_shows_it_with_the_bound_and_name_it_had(data_set: Path) -> None:
    assert run([str(data_set), "--name", "mine", "--most-samples", "70"]) == 0
    shutil.move(data_set / "report", data_set.with_name("kept"))
    shutil.rmtree(data_set)
    write_generated_set(data_set, videos=1, samples=6)
    shutil.move(data_set.with_name("kept"), data_set / "report")
    page = _refresh(data_set)
    noted = _noted(page)
    assert (noted["name"], noted["most_samples"], noted["questions"]) == ("mine", 70, 6)
    held = [path.name for path in page.rglob("*.js") if "Film 1" in path.read_text()]
    assert held == [], "a video that is gone is gone from the page"


def test_what_is_no_page_is_not_replaced(data_set: Path) -> None:
    (data_set / "report").mkdir()
    (data_set / "report" / "letter.txt").write_text("dear")
    assert _refresh(data_set) is None
    assert (data_set / "report" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("how", [["--out", "page"], ["--serve", "--no-browser"]])
def test_half_a_copy_of_a_data_set_is_a_wrong_call(
    how: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("copied").mkdir()
    Path("copied", "manifest.json").write_text("{}")
    assert run(["copied", *how]) == 2
    assert "copied holds no finished data set (no views.sql)" in capsys.readouterr().err
    assert not Path("page").exists()
