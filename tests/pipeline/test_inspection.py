"""inspect-vico on a real data set, as a command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

INSPECT = Path(sys.executable).with_name("inspect-vico")


def inspect(*arguments: str | Path, stdin: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INSPECT, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=120, cwd=folder)


def test_a_query_as_json_gives_the_rows_of_the_shards(sample_build: Path) -> None:
    done = inspect(sample_build, "--json", "--sql", "SELECT kind, count(*) AS n FROM samples GROUP BY kind")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    manifest = json.loads((sample_build / "manifest.json").read_text())
    assert {row["kind"]: row["n"] for row in rows} == manifest["samples_by_kind"]


def test_every_table_has_a_view_and_every_column_a_comment(sample_build: Path) -> None:
    done = inspect(sample_build, "--json", "--sql",
                   "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["table_name"] for row in rows} == {
        "videos", "clips", "clues", "samples", "frames", "duplicates", "rejected"}
    assert all(row["comment"] and row["comment"] != "None" for row in rows)


def test_pictures_are_told_by_size_not_spilled(sample_build: Path) -> None:
    for form in ([], ["--json"]):
        done = inspect(sample_build, "--sql", "SELECT image FROM frames LIMIT 1", *form)
        assert done.returncode == 0
        assert "bytes>" in done.stdout
        assert len(done.stdout) < 500


def test_queries_are_read_from_the_terminal(sample_build: Path) -> None:
    done = inspect(sample_build, stdin="SELECT count(*) AS frames\nFROM frames;\nSELECT nonsense;\nSELECT 6 * 7 AS n")
    count = json.loads((sample_build / "manifest.json").read_text())["rows"]["frames"]
    assert str(count) in done.stdout
    assert "nonsense" in done.stderr
    assert "42" in done.stdout, "a last query without ; is answered too"


def test_views_work_in_plain_duckdb(sample_build: Path) -> None:
    home = Path.cwd()
    os.chdir(sample_build)
    try:
        with duckdb.connect() as connection:
            connection.execute(Path("views.sql").read_text())
            (count,) = connection.execute("SELECT count(*) FROM clips JOIN videos USING (video_id)").fetchone()
    finally:
        os.chdir(home)
    assert count == json.loads((sample_build / "manifest.json").read_text())["rows"]["clips"]


def test_wrong_sql_and_a_wrong_folder_say_so(sample_build: Path, tmp_path: Path) -> None:
    wrong = inspect(sample_build, "--sql", "SELEC")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "syntax error" in wrong.stderr
    nothing = inspect(tmp_path)
    assert nothing.returncode == 2
    assert "run build-vico" in nothing.stderr


@pytest.mark.parametrize("name", ["it's a \"set\"", "a,b;DROP TABLE x--", "glob*[0]?"])
def test_a_data_set_may_lie_in_a_folder_of_any_name(sample_build: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(sample_build)
    done = inspect(tmp_path / name, "--sql", "SELECT count(*) AS n FROM videos", "--json")
    assert json.loads(done.stdout) == {"n": 1}
