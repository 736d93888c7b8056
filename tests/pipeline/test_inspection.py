"""inspect-vico on a real data set, as a command."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from PIL import Image

from tests.builds import rows

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


def test_a_word_that_is_no_table_swallows_nothing_and_exit_ends(sample_build: Path) -> None:
    done = inspect(sample_build, stdin="columns nope\nSELECT 6 * 7 AS n;\nexit\nSELECT 6 * 8 AS n;")
    assert "there is no table 'nope'" in done.stderr
    assert done.returncode == 0
    assert "42" in done.stdout
    assert "48" not in done.stdout


def test_ctrl_c_drops_the_query_and_not_the_shell(sample_build: Path) -> None:
    reader, terminal = pty.openpty()
    shell = subprocess.Popen([INSPECT, sample_build], stdin=terminal, stdout=terminal, stderr=terminal,
                             start_new_session=True, env=os.environ | {"TERM": "dumb"}, preexec_fn=_hear_ctrl_c)
    try:
        _read_until(reader, b"vico> ")
        os.write(reader, b"SELECT sum(range) FROM range(1000000000000);\n")
        time.sleep(1.0)
        shell.send_signal(signal.SIGINT)
        _read_until(reader, b"vico> ")
        os.write(reader, b"SELECT 6 * 7 AS n;\n")
        assert b"42" in _read_until(reader, b"vico> ")
        os.write(reader, b"exit\n")
        assert shell.wait(timeout=60) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(reader)
        os.close(terminal)


def _hear_ctrl_c() -> None:
    """As in a terminal, also where the tests themselves run in the background and have SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _read_until(reader: int, end: bytes) -> bytes:
    said, deadline = b"", time.monotonic() + 60
    while not said.rstrip().endswith(end.rstrip()):
        assert select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0], said
        said += os.read(reader, 4096)
    return said


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


def test_the_examples_are_answered(sample_build: Path) -> None:
    done = inspect(sample_build, "--examples")
    assert (done.returncode, done.stderr) == (0, "")
    questions = [line for line in done.stdout.splitlines() if line.startswith("-- ")]
    assert len(questions) >= 10


def test_a_sample_is_told_with_its_frames_as_a_picture(sample_build: Path, tmp_path: Path) -> None:
    row = next(row for row in rows(sample_build, "samples") if row["kind"] == "order_events")
    done = inspect(sample_build, "--sample", row["sample_id"][:12], "--picture", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert row["question"] in done.stdout
    assert f"→ ({'ABCDEFGH'[row['answer_index']]}) {row['answer']}" in done.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        width, height = sheet.size
        cells = [sheet.crop((12 + 332 * column, 46 + 226 * line, 332 + 332 * column, 226 + 226 * line))
                 for line in range(len(row["evidence"])) for column in range(3)]
    assert (width, height) == (3 * 332 + 12, len(row["evidence"]) * 226 + 12)
    assert len({cell.tobytes() for cell in cells}) == len(cells), "each frame shows another moment"


def test_the_prompt_knows_samples_columns_and_help(sample_build: Path, tmp_path: Path) -> None:
    sample_id = rows(sample_build, "samples", ["sample_id"])[0]["sample_id"]
    done = inspect(sample_build, stdin=f"columns duplicates\nsample {sample_id}\nhelp\nsample nothing\nSELECT 6 * 7;",
                   folder=tmp_path)
    assert "leave this video out" in done.stdout
    assert (tmp_path / f"sample-{sample_id}.png").is_file()
    assert "columns TABLE" in done.stdout
    assert "no sample has an id" in done.stderr
    assert "42" in done.stdout
