"""push-vico: exactly what would be sent, and whose pictures."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import load_dataset

from pipeline.hub_copy import COPY_STAGES, FREE, make_hub_copy
from pipeline.progress import StageProgress
from pipeline.push_to_hub import run
from tests.builds import rows
from tests.generated_sets import video_id, write_generated_set
from tests.pipeline.hub_server import Hub, hub_server

LICENCES = (
    "CC BY 4.0", "all rights reserved", None, "https://creativecommons.org/publicdomain/zero/1.0/", "CC BY-ND 4.0")
MAY = {video_id(0), video_id(3)}
FRAMES = 12 * 14


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("push") / "set"
    write_generated_set(folder, videos=5, samples=30, licences=LICENCES)
    (folder / ".work").mkdir()
    (folder / ".work" / "secret").write_text("not to be sent")
    return folder


@pytest.fixture(scope="module")
def copy(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with StageProgress(COPY_STAGES) as progress:
        return make_hub_copy(data_set, tmp_path_factory.mktemp("copy"), FREE, 100, progress).folder


def test_a_dry_run_lists_what_would_be_sent(data_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(data_set), "me/films", "--dry-run"]) == 0
    said = capsys.readouterr().out
    listed = re.findall(r"^ *[\d,]+  (\S+\.\w+)$", said, re.MULTILINE)
    tables = [f"data/{table}/train-00000.parquet" for table in (
        "clips", "clues", "duplicates", "frames", "rejected", "samples", "videos")]
    assert listed == ["README.md", *tables, "manifest.json", "views.sql"]
    assert re.findall(r"^ *(\d+)  frames (.*)$", said, re.MULTILINE) == [
        (str(FRAMES), "with their picture: cc-by"), (str(FRAMES), "with their picture: cc0"),
        (str(FRAMES), "as ids and times only: all rights reserved"), (str(FRAMES), "as ids and times only: cc-by-nd"),
        (str(FRAMES), "as ids and times only: no licence")]
    assert "to https://huggingface.co/datasets/me/films" in said
    assert "nothing was sent" in said


def test_a_licence_can_be_added(data_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(data_set), "me/films", "--dry-run", "--licence", "CC-BY-ND-4.0"]) == 0
    assert "with their picture: cc-by-nd" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["films", "a/b/c", "me/fi lms", "../x"])
def test_a_wrong_name_or_folder_is_refused(data_set: Path, tmp_path: Path, name: str) -> None:
    assert run([str(data_set), name, "--dry-run"]) == 2
    assert run([str(tmp_path), "me/films", "--dry-run"]) == 2


def test_pictures_go_only_where_the_licence_allows(data_set: Path, copy: Path) -> None:
    for table, column in (("frames", "image"), ("clips", "thumbnail")):
        sent = rows(copy, table)
        assert {row["video_id"] for row in sent if row[column] is not None} == MAY
        assert [{**row, column: None} for row in sent] == [{**row, column: None} for row in rows(data_set, table)]
        assert [row for row in sent if row["video_id"] in MAY] == [
            row for row in rows(data_set, table) if row["video_id"] in MAY]
    pictures = {path.parent.name for path in (copy / "report" / "pictures").rglob("*.jpg")}
    assert pictures == {"000000", "000003"}


def test_the_manifest_holds_for_the_copy_and_nothing_else_goes_along(copy: Path) -> None:
    for file in json.loads((copy / "manifest.json").read_text())["files"]:
        assert hashlib.sha256((copy / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    assert {path.name for path in copy.iterdir()} == {"README.md", "data", "manifest.json", "report", "views.sql"}


def test_the_copy_streams_as_a_config_per_table(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for table in ("videos", "clips", "clues", "samples", "frames"):
        stream = load_dataset(str(copy), table, split="train", streaming=True)
        assert len(list(stream.remove_columns(["image"] if table == "frames" else []).take(3))) == 3
    frames = load_dataset(str(copy), "frames", split="train", streaming=True)
    first = next(iter(frames))
    assert first["image"].size == (64, 36)
    withheld = next(row for row in frames if row["video_id"] not in MAY)
    assert withheld["image"] is None
    assert withheld["t_s"] is not None


def push(data_set: Path, hub: Hub, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own: the client reads where the hub is when it is imported."""
    command = [sys.executable, "-c", "from pipeline.push_to_hub import main; main()", str(data_set), "me/films"]
    return subprocess.run([*command, *options], env=os.environ | {
        "HF_ENDPOINT": hub.url, "HF_TOKEN": "a-token", "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)


def test_all_arrives_in_one_commit_and_old_shards_go(data_set: Path, copy: Path, tmp_path: Path) -> None:
    with hub_server() as hub:
        hub.files = {"data/samples/train-00099.parquet": b"old", "kept.txt": b"mine"}
        done = push(data_set, hub, tmp_path)
        assert done.returncode == 0, done.stderr
        mine = {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
        page = {name for name in mine if name.startswith("report/")}
        assert {name: content for name, content in hub.files.items() if name not in page} == (
            {name: content for name, content in mine.items() if name not in page} | {"kept.txt": b"mine"})
        assert page <= set(hub.files)
        assert hub.commits == ["VICO data set"]
        assert hub.tokens == {"Bearer a-token"}


def test_a_dry_run_asks_the_hub_nothing_and_a_refusal_is_said(data_set: Path, tmp_path: Path) -> None:
    with hub_server() as hub:
        assert push(data_set, hub, tmp_path, "--dry-run").returncode == 0
        assert (hub.files, hub.tokens) == ({}, set())
        hub.refuses = True
        done = push(data_set, hub, tmp_path)
    assert done.returncode == 1
    assert "push-vico: the hub did not take it" in done.stderr
    assert "Traceback" not in done.stderr
    assert "a-token" not in done.stderr + done.stdout
    gone = push(data_set, hub, tmp_path)  # nobody listens there any more
    assert (gone.returncode, "Traceback" in gone.stderr) == (1, False)
