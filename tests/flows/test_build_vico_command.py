"""The command as people run it: what it answers to a wrong call, where choices come from, and hostile names."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.build_vico_command import BuildVicoChoices, read_command_line
from pipeline.build_request import write_request
from schemas.build_config import BuildConfig
from schemas.reasons import SENTENCES, Reason
from schemas.tables import TABLES
from tests.builds import COMMAND, build_vico, clean_environment, journal, rows, running
from tests.conftest import Sample
from tests.numbered_videos import write_numbered
from tests.strange_sources import StrangeBuild

DONE, OUR_FAULT, WRONG_CALL, NOTHING_MADE, STOPPED = 0, 1, 2, 3, 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file that looks like a video, as long as nobody opens it."""
    (tmp_path / "holiday.mp4").write_text("not a video\n")
    return tmp_path


@pytest.fixture(autouse=True)
def _no_choices_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("VICO_", "PREFECT_"))]:
        monkeypatch.delenv(name)


def _caption_file(path: Path, *lines: Any) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


CAPTION = {"video": "holiday.mp4", "start_s": 0, "end_s": 5, "text": "A dog runs."}


# ---- Wrong calls: all of them end before any work starts


@pytest.mark.parametrize(("arguments", "words"), [
    (["holyday.mp4", "--out", "out"], ["holyday.mp4: no such file", "did you mean holiday.mp4?"]),
    (["hollidays/a.mp4", "--out", "out"], ["no folder hollidays"]),
    (["holiday.mp4", "--out", "out", "--clip-secnods", "10"], ["--clip-secnods"]),
    (["holiday.mp4", "--out", "out", "--captioner", "oracle"], ["--captioner", "'measured', 'file'"]),
    (["holiday.mp4", "--out", "out", "--captioner", "file"], ["--captions FILE"]),
    (["holiday.mp4", "--out", "out", "--captions", "a.jsonl"], ["--captioner file"]),
    (["holiday.mp4", "--out", "out", "--calibrate", "0.02"], ["calibrate", "captioner 'measured'"]),
    (["holiday.mp4", "--out", "out", "--clip-seconds", "ten"], ["--clip-seconds", "valid number"]),
    (["holiday.mp4", "--out", "out", "--clip-seconds", "-1"], ["--clip-seconds", "greater than 0"]),
    (["holiday.mp4"], ["--out"]),
    (["--out", "out"], ["name at least one video"]),
    (["ftp://example.org/a.mp4", "--out", "out"], ["ftp://example.org/a.mp4", "http, https, s3, gs and hf are"]),
    (["holiday.mp4", "--out", "out", "--config", "gone.yaml"], ["--config gone.yaml", "No such file"]),
    (["holiday.mp4", "--out", "holiday.mp4"], ["--out holiday.mp4"]),
    (["empty", "--out", "out"], ["no video in 'empty'"]),
])
def test_a_wrong_call_says_what_is_wrong_and_does_nothing(folder: Path, arguments: list[str], words: list[str]) -> None:
    (folder / "empty").mkdir()
    done = build_vico(*arguments, cwd=folder)
    assert done.returncode == WRONG_CALL, done.stderr
    assert "Traceback" not in done.stderr
    assert [word for word in words if word not in done.stderr] == [], done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["empty", "holiday.mp4"]


@pytest.mark.parametrize(("lines", "words"), [
    ([CAPTION, {**CAPTION, "end_s": 0}], ["row 2", "end_s (0) is not after start_s (0)"]),
    ([CAPTION, "\n", "{not json}\n"], ["row 3 is not JSON"]),
    ([{**CAPTION, "start_s": "soon"}], ["row 1", "start_s"]),
    ([CAPTION, {"video": "holiday.mp4", "start_s": 0, "end_s": 5}], ["row 2", "text"]),
    ([{**CAPTION, "kind": "rumour"}], ["row 1", "kind"]),
    ([{**CAPTION, "end_s": float("nan")}], ["row 1", "end_s"]),
    ([[1, 2]], ["row 1"]),
])
def test_a_broken_caption_file_is_named_with_its_row(folder: Path, lines: list[Any], words: list[str]) -> None:
    captions = _caption_file(folder / "said.jsonl", *lines)
    done = build_vico("holiday.mp4", "--out", "out", "--captioner", "file", "--captions", captions.name, cwd=folder)
    assert done.returncode == WRONG_CALL
    assert [word for word in ["said.jsonl", *words] if word not in done.stderr] == [], done.stderr
    assert not (folder / "out").exists()


@pytest.mark.parametrize(("name", "content", "words"), [
    ("list.jsonl", '{"source": "holiday.mp4"}\n{"source": \n', ["list.jsonl", "line 2"]),
    ("list.jsonl", '{"title": "no path"}\n', ["list.jsonl", "line 1", "source"]),
    ("list.csv", "source,published\nholiday.mp4,yesterday\n", ["list.csv", "line 2", "published"]),
    ("list.txt", "# nothing\n", ["no video"]),
])
def test_a_broken_list_is_named_with_its_line(folder: Path, name: str, content: str, words: list[str]) -> None:
    (folder / name).write_text(content)
    done = build_vico(name, "--out", "out", cwd=folder)
    assert done.returncode == WRONG_CALL
    assert [word for word in words if word not in done.stderr] == [], done.stderr
    assert not (folder / "out").exists()


def test_an_output_whose_name_prefect_cannot_store_is_refused(folder: Path) -> None:
    done = build_vico("holiday.mp4", "--out", os.fsdecode(b"\xe9"), cwd=folder)
    assert done.returncode == WRONG_CALL
    assert "--out" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["holiday.mp4"]


def test_help_names_every_choice(folder: Path) -> None:
    done = build_vico("--help", cwd=folder)
    assert done.returncode == DONE
    names = [name.replace("_", "-") for name in BuildVicoChoices.model_fields if name != "sources"]
    assert [name for name in names if f"--{name}" not in done.stdout] == []


# ---- Where choices come from


def test_flags_are_stronger_than_the_file_and_the_file_than_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "build.yaml").write_text("clip_seconds: 10\nseed: 10\nsources: [from_file.mp4]\nworkers: 2\n")
    for name, value in {"CLIP_SECONDS": "5", "SEED": "5", "BUCKETS": "5", "SPANS_MINUTES": "[1, 2]"}.items():
        monkeypatch.setenv(f"VICO_{name}", value)
    monkeypatch.chdir(folder)
    choices = read_command_line(["--config", "build.yaml", "--out", "out", "--clip-seconds", "20"])
    assert (choices.clip_seconds, choices.seed, choices.buckets) == (20, 10, 5)
    assert (choices.sources, choices.workers, choices.spans_minutes) == (["from_file.mp4"], 2, [1, 2])
    assert choices.jpeg_quality == 88


def test_a_growing_output_keeps_its_budget_and_its_clips_until_they_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_request(tmp_path / "out" / ".work", BuildConfig(keep_clips=True, max_tokens=500, workers=2))
    grown = read_command_line(["more", "--out", "out"])
    assert (grown.keep_clips, grown.max_tokens, grown.workers) == (True, 500, 1)
    assert not read_command_line(["more", "--out", "out", "--no-keep-clips"]).keep_clips


def test_the_file_may_not_hold_what_is_no_choice(folder: Path) -> None:
    (folder / "build.yaml").write_text("clip_secnods: 10\n")
    done = build_vico("holiday.mp4", "--out", "out", "--config", "build.yaml", cwd=folder)
    assert done.returncode == WRONG_CALL
    assert "clip-secnods" in done.stderr


def test_nothing_could_be_made_and_the_choices_are_stored(folder: Path) -> None:
    """Where none but the user may read them: a choice may hold a password."""
    (folder / "made" / ".work" / "prefect").mkdir(parents=True, mode=0o755)
    """One run shows both: what it was told, from three sides, and how it ends when no file is a video."""
    (folder / "build.yaml").write_text("clip_seconds: 10\nseed: 10\nout: made\n")
    done = build_vico("holiday.mp4", "--config", "build.yaml", "--seed", "7", cwd=folder,
                      env={"VICO_CLIP_SECONDS": "5", "VICO_BUCKETS": "3"})
    assert done.returncode == NOTHING_MADE, done.stderr
    assert "nothing could be made" in done.stderr
    assert (folder / "made" / ".work" / "prefect").stat().st_mode & 0o777 == 0o700
    manifest = json.loads((folder / "made" / "manifest.json").read_text())
    assert {name: manifest["config"][name] for name in ("clip_seconds", "seed", "buckets")} == {
        "clip_seconds": 10, "seed": 7, "buckets": 3}
    rejected, = rows(folder / "made", "rejected")
    assert (rejected["reason"], rejected["source"]) == (Reason.NOT_A_VIDEO, "holiday.mp4")
    assert [rows(folder / "made", table) for table in TABLES if table != "rejected"] == [[]] * (len(TABLES) - 1)


# ---- Hostile names and titles


def test_lists_of_every_kind_say_what_a_video_is(strange_build: StrangeBuild) -> None:
    columns = ("title", "domain", "language", "license", "uploader", "published")
    found = {row["source"]: {name: row[name] for name in columns} for row in rows(strange_build.out, "videos")}
    assert found == strange_build.listed


def test_a_list_entry_that_is_not_there_is_a_rejected_row(strange_build: StrangeBuild) -> None:
    missing, = [row for row in rows(strange_build.out, "rejected") if row["reason"] == Reason.MISSING_FILE]
    assert (missing["source"], missing["stage"]) == ("gone.mp4", "sources")
    assert missing["detail"].startswith(SENTENCES[Reason.MISSING_FILE])


def test_hostile_names_change_nothing_outside_the_output(strange_build: StrangeBuild) -> None:
    work = strange_build.out.parent
    videos = {name for name in strange_build.listed if name not in ("outside.mp4", "caf\ufffd.mp4")}
    traps = {f"{trap}.py" for trap in ("model", "pipeline", "schemas", "flows")}
    lists = {"list.jsonl", "list.csv", "list.txt"}
    assert {os.fsencode(path.name) for path in work.iterdir()} == {
        b"caf\xe9.mp4", b"out", *map(str.encode, videos | traps | lists)}
    assert {path.name for path in work.parent.iterdir()} == {"work", "outside.mp4"}


def test_hostile_titles_are_text_in_every_view(strange_build: StrangeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(strange_build.out)
    with duckdb.connect() as database:
        database.execute(Path("views.sql").read_text(encoding="utf-8"))
        found = dict(database.execute("SELECT source, title FROM videos").fetchall())
    assert found == {source: said["title"] for source, said in strange_build.listed.items()}


# ---- One run at a time, and stopping


def test_a_second_run_on_the_same_output_is_refused_and_ctrl_c_can_be_continued(
    sample: Sample, tmp_path: Path
) -> None:
    for index in range(2):
        write_numbered(tmp_path / f"short-{index}.mp4", "constant", 60 + index, 320, 180)
    out = tmp_path / "out"
    sources = [sample.video, *sorted(tmp_path.glob("short-*.mp4"))]
    first = subprocess.Popen(
        [COMMAND, *map(str, sources), "--out", str(out)], env=clean_environment(PYTHONFAULTHANDLER="1"), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _wait_for(out, "started", "decode", first)
        second = build_vico(*sources, "--out", out)
        assert second.returncode == WRONG_CALL
        assert f"process {first.pid}" in second.stderr
        assert first.poll() is None
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does
        words = _last_words(first)
    finally:
        first.kill()
    assert first.returncode == STOPPED, words
    assert "the same command goes on" in words
    assert not (out / "manifest.json").exists()
    assert running(first.pid) == []


def _last_words(process: subprocess.Popen) -> str:
    """What a process that was told to end says; where all its threads stand, if it does not end."""
    try:
        return process.communicate(timeout=90)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        return process.communicate(timeout=30)[1]


def _wait_for(out: Path, event: str, stage: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while not any((line["event"], line["stage"]) == (event, stage) for line in journal(out)):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
