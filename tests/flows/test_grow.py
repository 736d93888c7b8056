"""A data set that grows: the same files whatever came first, only what is new is worked on, and what is taken out
stays out. Then what `--status` and `--explain` say of it, which start nothing."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.build_status import as_text, read_status
from flows.build_vico_command import _not_there
from flows.looks import look
from pipeline.blind_guesser import FILE_NAME, BuiltInGuesser
from pipeline.build_request import write_request
from pipeline.journal import Journal
from pipeline.output_lock import only_run
from pipeline.sample_videos import sample_script, write_video
from pipeline.splits import bucket_of
from schemas.build_config import BuildConfig
from schemas.reasons import Stage
from schemas.tables import TABLES
from tests.builds import build_vico, data_bytes, journal, rows
from tests.one_prefect import builder
from tests.scripted_films import scripted_film

GUESSER = BuiltInGuesser(({}, {}), {"order_events": 0.0})
"""Frozen with every output here: it has learned nothing, and is sure that the first option is the right one."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders a and b with two tiny videos each, one of b broken, and words.jsonl with an event for every clip."""
    folder = tmp_path_factory.mktemp("videos")
    words = []
    for seed, name in enumerate(("a/0.mp4", "a/1.mp4", "b/2.mp4")):
        (folder / name).parent.mkdir(exist_ok=True)
        write_video(replace(sample_script(seed=seed, duration_s=32), width=160, height=90), folder / name)
        events = scripted_film(seed, 8).subject.captions.items()
        words += [{"video": Path(name).name, "start_s": 4 * clip + 1, "end_s": 4 * clip + 3, "kind": "event",
                   "text": caption.sentences[0]} for clip, caption in events]
    (folder / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in words))
    (folder / "b" / "broken.mp4").write_bytes(b"no video")
    return folder


def _choices(videos: Path) -> tuple[str | Path, ...]:
    return ("--captioner", "file", "--captions", videos / "words.jsonl", "--clip-seconds", "4", "--buckets", "4",
            "--test-share", "0")


@pytest.fixture(scope="module")
def built() -> Iterator[Callable[..., None]]:
    with builder() as process:
        yield process.build


@pytest.fixture(scope="module")
def at_once(videos: Path, built: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("at-once") / "out"
    GUESSER.save(out / FILE_NAME)
    built(videos / "a", videos / "b", "--out", out, *_choices(videos))
    assert any(row["reason"] == "guessed_blind" for row in rows(out, "rejected"))
    return out


def _files(out: Path) -> dict[str, bytes]:
    return data_bytes(out) | {name: (out / name).read_bytes() for name in ("manifest.json", "README.md", "views.sql")}


def _inodes(out: Path) -> dict[str, int]:
    return {path.relative_to(out).as_posix(): path.stat().st_ino for path in (out / "data").rglob("*.parquet")}


def _looked(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a command that only looks prints; in this process, as it starts nothing."""
    assert look([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def _explained(capsys: pytest.CaptureFixture[str], out: Path, *arguments: str | Path) -> dict[str | None, dict]:
    """By source; None for the data set as a whole."""
    lines = _looked(capsys, "--explain", out, *arguments, "--json").splitlines()
    return {one["source"]: one for one in map(json.loads, lines)}


def test_a_set_that_grew_is_the_set_made_at_once(
    videos: Path, at_once: Path, built: Callable[..., None], tmp_path: Path
) -> None:
    """First b, then a; the second command names neither b nor any choice, and b is gone by then."""
    out, first = tmp_path / "out", tmp_path / "b"
    first.mkdir()
    for path in (videos / "b").iterdir():
        (first / path.name).write_bytes(path.read_bytes())
    GUESSER.save(out / FILE_NAME)
    built(first, "--out", out, *_choices(videos))
    before, seen = _inodes(out), len(journal(out))
    (first / "2.mp4").unlink()
    built(videos / "a", "--out", out)
    assert _files(out) == _files(at_once)
    worked_on = {line["item"] for line in journal(out)[seen:] if line["event"] == "started"} - {"data set"}
    assert worked_on == {"0.mp4", "1.mp4"}
    after = _inodes(out)
    changed = {path for path in before if after[path] != before[path]}
    new = {place(row["video_id"]) for row in rows(out, "videos") if row["source"] != "2.mp4"}
    assert {path.rsplit("/", 1)[1] for path in changed} <= new | {"train-00000.parquet"}  # the tables of one file
    stayed = place(next(row["video_id"] for row in rows(out, "videos") if row["source"] == "2.mp4"))
    assert (stayed in new) == (f"data/frames/{stayed}" in changed)


def test_the_other_order_gives_the_same_files(
    videos: Path, at_once: Path, built: Callable[..., None], tmp_path: Path
) -> None:
    """First a, then b, with two workers and the captions named once more."""
    out = tmp_path / "out"
    GUESSER.save(out / FILE_NAME)
    built(videos / "a", "--out", out, *_choices(videos))
    built(videos / "b", "--out", out, "--workers", "2", "--captions", videos / "words.jsonl")
    assert _files(out) == _files(at_once)


def place(video_id: str) -> str:
    """The name of a video's shards in every table."""
    return f"train-{bucket_of(video_id, 4):05d}.parquet"


def test_nothing_new_writes_nothing_and_a_stage_can_be_done_again(
    at_once: Path, built: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in at_once.rglob("*")
              if path.is_file() and ".work" not in path.parts}
    built("--out", at_once)
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in before} == before
    explained = _explained(capsys, at_once)
    assert explained.pop(None)["would_run"] == {"shards": {}}
    assert {source for source, one in explained.items() if one["left_out"]} == {"broken.mp4"}
    assert not any(one["would_run"] for one in explained.values())

    files, seen = _files(at_once), len(journal(at_once))
    built("--out", at_once, "--rebuild", "clues")
    assert {line["stage"] for line in journal(at_once)[seen:] if line["event"] == "started"} == {
        Stage.CLUES, Stage.QUESTIONS, Stage.SHARDS}
    assert _files(at_once) == files


def test_the_number_of_shards_stays(videos: Path, at_once: Path) -> None:
    done = build_vico(videos / "a", "--out", at_once, "--buckets", "5")
    assert done.returncode == 2
    assert "fixed it at 4" in done.stderr


def test_explain_names_every_stage_whose_product_is_gone(
    at_once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stage after stage is hidden, so a stage that explain does not know would be missed here."""
    stages = {line["stage"] for line in journal(at_once) if line["event"] == "done" and "key" in line}
    assert stages >= {"probe", "decode", "captions", "clues", "questions"}
    for stage in stages:
        os.rename(at_once / ".work" / stage, tmp_path / stage)
        told = _explained(capsys, at_once)
        os.rename(tmp_path / stage, at_once / ".work" / stage)
        assert next(iter(told["0.mp4"]["would_run"].items())) == (stage, "it was not made yet")


def test_explain_says_what_a_choice_or_a_file_changes(
    videos: Path, at_once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = _explained(capsys, at_once, "--max-questions-per-kind", "3")
    assert choice["0.mp4"]["would_run"] == {"questions": "max_questions_per_kind is 3, was 12"}
    longer = _looked(capsys, "--explain", at_once, "--clip-seconds", "5").splitlines()
    assert "1.mp4: decode (clip_seconds is 5.0, was 4.0), then captions, clues, questions" in longer
    path = videos / "a" / "0.mp4"
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    told = _explained(capsys, at_once)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert told["0.mp4"]["would_run"]["probe"] == "the file was written to"
    assert told["1.mp4"]["would_run"] == {}


def test_a_forgotten_video_is_in_no_table_and_stays_out(
    videos: Path, at_once: Path, built: Callable[..., None], tmp_path: Path
) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy.mp4"
    shutil.copytree(at_once, out)
    copy.write_bytes((videos / "a" / "0.mp4").read_bytes())
    gone, = [row["video_id"] for row in rows(out, "videos") if row["source"] == "0.mp4"]
    wrong = build_vico("--out", out, "--forget", "0.mp4")
    assert wrong.returncode == 2
    assert "32 hex digits" in wrong.stderr
    assert _not_there([gone, "f" * 32], out) == ["f" * 32]
    built("--out", out, "--forget", gone)
    held = [path for path in out.rglob("*.js*") if gone in path.read_text(errors="replace")]  # the page's scripts too
    assert {path.name for path in held} <= {"catalogue.jsonl", "forgotten.json", "journal.jsonl"}
    built(videos / "a", copy, "--out", out)
    for table in TABLES:
        assert not any(gone in str(row) for row in rows(out, table)), table
    GUESSER.save(tmp_path / "never" / FILE_NAME)
    built(videos / "a" / "1.mp4", videos / "b", "--out", tmp_path / "never", *_choices(videos))
    assert _files(out) == _files(tmp_path / "never")
    assert {row["source"] for row in rows(out, "videos")} == {"1.mp4", "2.mp4"}


def test_status_of_a_finished_build_and_of_none(
    at_once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(_looked(capsys, "--status", at_once, "--json"))
    assert {name: told[name] for name in ("process", "finished", "sources", "done", "rejected", "left")} == {
        "process": None, "finished": True, "sources": 4, "done": 3, "rejected": {"not_a_video": 1}, "left": 0}
    assert look(["--status", str(tmp_path)]) == 2
    assert "no build has begun" in capsys.readouterr().err


def test_status_counts_what_is_under_way_though_the_clock_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([1e9, 2e9, 3e9, 1e9, 0.0, 5e9, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    monkeypatch.setattr("time.time", lambda: next(clock))
    journal = Journal(tmp_path / ".work")
    journal.say("began", "run", "data set")
    journal.say("planned", "run", "videos", count=9)
    journal.say("rejected", "decode", "bad", reason="not_a_video")
    journal.say("started", "decode", "one", key="k")
    for stage in ("decode", "questions"):
        journal.say("done", stage, "one", key="k")
    journal.say("done", "video", "one")
    journal.say("started", "decode", "two", key="l")
    journal.say("progress", "decode", "two", share=0.5)
    journal.say("left", "captions", "three", why="the budget is spent")
    journal.close()
    status = read_status(tmp_path)
    assert (status.done, status.left, status.running) == (1, 6, {"two": ("decode", 0.5)})
    assert status.rejected == {"not_a_video": 1}
    assert 0 <= status.ran_s < 60
    assert "broken off" in as_text(status, tmp_path)
    assert "the budget is spent: three" in as_text(status, tmp_path)


def test_the_time_to_go_follows_the_slowest_stage(tmp_path: Path) -> None:
    """Of four videos one is done and one half through its captions, which a served model makes slow; else it is
    through."""
    journal = Journal(tmp_path / ".work")
    journal.say("began", "run", "data set")
    journal.say("planned", "run", "videos", count=4)
    journal.say("started", "decode", "one", key="k")
    journal.say("done", "video", "one")
    journal.say("started", "captions", "two", key="l")
    journal.say("progress", "captions", "two", share=0.5)
    with only_run(tmp_path):
        plain = read_status(tmp_path)
        write_request(tmp_path / ".work", BuildConfig(
            captioner="served", caption_urls=["http://127.0.0.1:9/v1"], caption_model="m"))
        served = read_status(tmp_path)
    journal.close()
    assert plain.to_go_s == pytest.approx(plain.ran_s / 2 * 2)
    assert served.to_go_s == pytest.approx(served.ran_s / 1.5 * 2.5)
    assert plain.process == os.getpid()
