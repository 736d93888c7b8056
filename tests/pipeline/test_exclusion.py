"""Known test videos are left out by address, by bytes, and by what they show, and stay left out."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.exclusion import (
    Exclusion,
    ExclusionListError,
    fingerprint_lines,
    load_exclusion,
    read_exclusion,
    youtube_id_of,
)
from pipeline.sample_videos import sample_script, write_video
from schemas.build_config import BuildConfig
from schemas.records import Source
from tests.builds import build_vico, built, rows
from tests.pipeline.test_quality_gates import _decode, _draw, _ffmpeg

ID = "dQw4w9WgXcQ"


def listed(folder: Path, text: str) -> Exclusion:
    (folder / "list.txt").write_text(text, encoding="utf-8")
    return read_exclusion([folder / "list.txt"])


def source(name: str, url: str | None = None) -> Source:
    return Source(path="", source=name, url=url)


@pytest.mark.parametrize("entry", [
    ID, f"https://www.youtube.com/watch?v={ID}&t=10", f"https://youtu.be/{ID}?si=abc", f"{ID}   # Video-MME, 17",
    f"https://m.youtube.com/shorts/{ID}", f"\ufeff{ID}"])
def test_a_youtube_id_is_known_in_every_form(tmp_path: Path, entry: str) -> None:
    exclusion = listed(tmp_path, entry)
    for url in (f"https://www.youtube.com/watch?v={ID}", f"https://youtu.be/{ID}", f"https://youtube.com/embed/{ID}"):
        assert exclusion.match_source(source("x", url))
    for name in (f"{ID}.mp4", f"films/A title [{ID}].webm"):
        assert exclusion.match_source(source(name))
    for name, url in (("dQw4w9WgXcR.mp4", None), ("film.mp4", None), ("x", f"https://example.org/{ID}"),
                      (f"A title {ID}.mp4", None), ("x", "https://youtu.be/dQw4w9WgXc")):
        assert exclusion.match_source(source(name, url)) is None


def test_a_video_id_may_be_whole_or_cut(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"film").hexdigest()
    for entry in (digest, digest[:32], digest.upper()):
        exclusion = listed(tmp_path, f"# known\n\n{entry}\n")
        assert exclusion.match_id(digest[:32])
        assert exclusion.match_id(hashlib.sha256(b"other").hexdigest()[:32]) is None


@pytest.mark.parametrize(("text", "words"), [
    ("not an id", "line 1"), (f"{ID}\nhttps://example.org/film", "line 2"), ("pictures name 00ff", "hash"),
    ("pictures name " + " ".join(["0" * 16] * 3), "fewest"), ("pictures", "expected"), ("ab" * 20, "expected")])
def test_a_list_that_cannot_be_read_says_where(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ExclusionListError, match=words):
        listed(tmp_path, text)


def test_a_list_that_is_missing_is_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_text("no video")
    done = build_vico("film.mp4", "--out", "out", "--exclude", "gone.txt", cwd=tmp_path)
    assert (done.returncode, "gone.txt" in done.stderr) == (2, True)
    assert not (tmp_path / "out" / ".work").exists()


@settings(deadline=None)
@given(st.sets(st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True)),
       st.sets(st.from_regex(r"[0-9a-f]{32}", fullmatch=True)),
       st.lists(st.sets(st.integers(-2**63, 2**63 - 1), min_size=8, max_size=30), max_size=3))
def test_a_list_that_was_kept_is_the_list(
    tmp_path_factory: pytest.TempPathFactory, ids: set[str], videos: set[str], prints: list[set[int]]
) -> None:
    lines = [*ids, *videos, *(" ".join(["pictures", f"n{number}", *(f"{one % 2**64:016x}" for one in some)])
                              for number, some in enumerate(prints))]
    folder = tmp_path_factory.mktemp("lists")
    first = listed(folder, "\n".join(lines))
    again = listed(folder, first.text())
    assert again.text() == first.text()
    assert first.counts() == {"youtube_ids": len(ids), "video_ids": len(videos), "fingerprints": len(prints)}


def test_pictures_are_known_in_another_file_and_as_a_part(tmp_path: Path) -> None:
    _draw(tmp_path / "film.mp4", "mandelbrot=size=320x180:rate=8", 30)
    _draw(tmp_path / "other.mp4", "mandelbrot=size=320x180:rate=8:start_x=-0.1:start_y=-0.9", 30)
    _ffmpeg("-i", tmp_path / "film.mp4", "-vf", "scale=240:-2", "-crf", "32", tmp_path / "copy.mkv")
    _ffmpeg("-ss", "8", "-t", "14", "-i", tmp_path / "film.mp4", "-vf", "scale=280:-2", tmp_path / "part.mp4")
    video_id, line, *_ = fingerprint_lines(tmp_path / "film.mp4")
    assert video_id == hashlib.sha256((tmp_path / "film.mp4").read_bytes()).hexdigest()[:32]
    exclusion = listed(tmp_path, line)
    assert {name: bool(exclusion.match_pictures(_decode(tmp_path / name, tmp_path)))
            for name in ("film.mp4", "copy.mkv", "part.mp4", "other.mp4")} == {
        "film.mp4": True, "copy.mkv": True, "part.mp4": True, "other.mp4": False}
    part = listed(tmp_path, fingerprint_lines(tmp_path / "part.mp4")[1])
    assert part.match_pictures(next(tmp_path.glob("film*/looks.parquet")).parent)


def test_pictures_are_known_without_their_edges_with_bars_and_mirrored(tmp_path: Path) -> None:
    _draw(tmp_path / "film.mp4", "mandelbrot=size=320x180:rate=8", 24)
    _draw(tmp_path / "other.mp4", "mandelbrot=size=320x180:rate=8:start_x=-0.1:start_y=-0.9", 24)
    changes = {"cropped": "crop=iw*0.88:ih*0.88", "barred": "pad=iw:ih*1.34:0:(oh-ih)/2", "mirrored": "hflip"}
    for name, change in changes.items():
        _ffmpeg("-i", tmp_path / "film.mp4", "-vf", change, tmp_path / f"{name}.mp4")
    every_line = listed(tmp_path, "\n".join(fingerprint_lines(tmp_path / "film.mp4")))
    assert listed(tmp_path, every_line.text()).text() == every_line.text()
    found = {name: every_line.match_pictures(_decode(tmp_path / f"{name}.mp4", tmp_path))
             for name in (*changes, "other")}
    assert {name: bool(known) for name, known in found.items()} == {
        "cropped": True, "barred": True, "mirrored": True, "other": False}
    assert "film/mirrored" in found["mirrored"]
    _ffmpeg("-i", tmp_path / "film.mp4", "-vf", changes["barred"], tmp_path / "benchmark.mp4")
    with_bars = listed(tmp_path, "\n".join(fingerprint_lines(tmp_path / "benchmark.mp4")))
    assert with_bars.match_pictures(_decode(tmp_path / "film.mp4", tmp_path))


def test_youtube_ids_are_looked_for_where_they_stand() -> None:
    assert youtube_id_of(source("https://www.youtube.com/watch?v=" + ID)) == ID
    assert youtube_id_of(source("film.mp4")) is None


def test_a_benchmark_video_is_left_out_whole_and_stays_out(tmp_path: Path) -> None:
    """Three films: one is known by its pictures under other bytes, one by its bytes, one by nobody."""
    for seed, name in enumerate(("known", "bytes", "free")):
        write_video(replace(sample_script(seed, 30), width=320, height=180), tmp_path / f"{name}.mp4")
    _ffmpeg("-i", tmp_path / "known.mp4", "-crf", "30", tmp_path / "copy.mp4")
    digest = hashlib.sha256((tmp_path / "bytes.mp4").read_bytes()).hexdigest()
    printed = subprocess.run(
        [sys.executable, "-m", "pipeline.exclusion", "known.mp4"], cwd=tmp_path, text=True, capture_output=True,
        timeout=100, check=True).stdout
    (tmp_path / "benchmarks.txt").write_text(f"# a benchmark\n{printed}{digest}\n{ID}\n")
    sources = [tmp_path / name for name in ("copy.mp4", "bytes.mp4", "free.mp4")]
    out = tmp_path / "out"
    built(*sources, "--out", out, "--exclude", tmp_path / "benchmarks.txt")
    assert [row["source"] for row in rows(out, "videos")] == ["free.mp4"]
    left_out = [row for row in rows(out, "rejected") if row["reason"] == "known_test_set"]
    assert sorted((row["source"], row["stage"]) for row in left_out) == [
        ("bytes.mp4", "probe"), ("copy.mp4", "quality")]
    assert not {row["video_id"] for row in left_out} & {clip["video_id"] for clip in rows(out, "clips")}
    manifest = json.loads((out / "manifest.json").read_text())
    kept = (out / "exclude.txt").read_bytes()
    assert manifest["exclude"] == {
        "file": "exclude.txt", "sha256": hashlib.sha256(kept).hexdigest(), "youtube_ids": 1, "video_ids": 2,
        "fingerprints": printed.count("pictures")}
    assert "2 matched the list" in (out / "README.md").read_text()
    assert load_exclusion(BuildConfig(), out).text().encode() == kept  # a later run that names no list
