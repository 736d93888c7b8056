"""export-llava: what a LLaVA-style trainer finds."""

import json
from pathlib import Path

from pipeline.export_llava import run
from tests.builds import rows
from tests.generated_sets import write_generated_set


def test_every_sample_finds_its_frames_in_order(sample_build: Path, tmp_path: Path) -> None:
    assert run([str(sample_build), "--out", str(tmp_path / "llava")]) == 0
    samples = {row["sample_id"]: row for row in rows(sample_build, "samples")}
    frames = sorted(rows(sample_build, "frames"), key=lambda row: row["frame_index"])
    entries = [one for path in (tmp_path / "llava").glob("*.json") for one in json.loads(path.read_text())]
    assert {entry["id"] for entry in entries} == set(samples)
    for entry in entries:
        (media,) = samples[entry["id"]]["media"]
        inside = [row for row in frames if media["start_s"] <= row["t_s"] < media["end_s"]]
        files = sorted((tmp_path / "llava" / entry["video"]).iterdir())
        assert [path.read_bytes() for path in files] == [row["image"]["bytes"] for row in inside]
        assert entry["conversations"] == samples[entry["id"]]["conversations"]
    once = sum(len(row["image"]["bytes"]) for row in frames)
    inodes = {path.stat().st_ino: path.stat().st_size for path in (tmp_path / "llava").rglob("*.jpg")}
    assert sum(inodes.values()) == once, "a frame lies on the disk once"


def test_splits_get_a_file_each_and_nothing_is_overwritten(tmp_path: Path) -> None:
    written = write_generated_set(tmp_path / "set", videos=3, samples=12)
    assert run([str(tmp_path / "set"), "--out", str(tmp_path / "llava")]) == 0
    for split in ("train", "test"):
        ids = [entry["id"] for entry in json.loads((tmp_path / "llava" / f"{split}.json").read_text())]
        assert ids == sorted(row["sample_id"] for row in written["samples"] if row["split"] == split)
    assert run([str(tmp_path / "set"), "--out", str(tmp_path / "llava")]) == 2
    assert run([str(tmp_path), "--out", str(tmp_path / "other")]) == 2
