"""Whatever a file is, it ends as data or as a row in `rejected` that a person understands; the rest is unharmed."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.decode import read_facts
from schemas.reasons import SENTENCES, Reason
from tests.builds import built, rows
from tests.numbered_videos import Shown, read_number, write_numbered
from tests.odd_files import upright_by_ffmpeg, write_latin_titles, write_odd_files

LEFT_OUT_WHOLE = {
    "empty.mp4": {Reason.EMPTY_FILE}, "noise.mp4": {Reason.NOT_A_VIDEO}, "text.mp4": {Reason.NOT_A_VIDEO},
    "no_index.mp4": {Reason.NOT_A_VIDEO}, "picture.mp4": {Reason.TOO_SHORT}, "blink.mp4": {Reason.TOO_SHORT},
    "sound.m4a": {Reason.NO_PICTURE},
}
KEPT = {"good.mp4", "overwritten.mp4", "cut_off.mp4", "turned.mp4", "short.mp4", "lost_packets.ts"}

GIVEN_LEFT_OUT = {
    "empty.mp4": {Reason.EMPTY_FILE}, "noise.mp4": {Reason.NOT_A_VIDEO}, "text.mp4": {Reason.NOT_A_VIDEO},
    "truncated_no_index.mp4": {Reason.NOT_A_VIDEO}, "audio_only.m4a": {Reason.NO_PICTURE},
    "rotated_90.mov": {Reason.TOO_SHORT}, "corrupted_middle.mp4": {Reason.NO_WHOLE_CLIP, Reason.FRAMES_MISSING},
    "shorter_than_a_clip.mp4": {Reason.STANDS_STILL},  # a title card of six seconds in which not a pixel moves
}
GIVEN_KEPT = {"damaged_middle.ts", "variable_frame_rate.mkv"}


@dataclass(frozen=True)
class OddBuild:
    """A data set made of a folder of odd files, and what the good one of them shows."""

    folder: Path
    out: Path
    truth: list[Shown]

    def video_id(self, source: str) -> str:
        return next(row["video_id"] for row in rows(self.out, "videos") if row["source"] == source)

    def of(self, table: str, source: str) -> list[dict[str, Any]]:
        if table == "rejected":
            return [row for row in rows(self.out, table) if row["source"] == source]
        return [row for row in rows(self.out, table) if row["video_id"] == self.video_id(source)]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> OddBuild:
    folder, out = tmp_path_factory.mktemp("odd"), tmp_path_factory.mktemp("odd-build") / "out"
    truth = write_odd_files(folder)
    built(folder, "--out", out, "--workers", "2")
    return OddBuild(folder, out, truth)


def _picture(row: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"))


def _shown(frames: list[dict[str, Any]]) -> list[tuple[float, int | None]]:
    return [(row["t_s"], read_number(_picture(row))) for row in frames]


def _firsts(truth: list[Shown], clip: tuple[float, float]) -> list[tuple[float, int]]:
    """What is stored of a clip on whole seconds: the frame on each second (25 fps, frames on whole seconds)."""
    return [(float(time), number) for number, time in truth if time.denominator == 1 and clip[0] <= time < clip[1]]


def _check_words(rejected: list[dict[str, Any]]) -> None:
    """Sentences, not codes or paths, and nothing said twice."""
    assert rejected
    for row in rejected:
        words = [word.strip(".,:;()") for word in row["detail"].split()]
        assert len(words) >= 4, row
        assert "/" not in row["detail"], row
        assert "Error" not in row["detail"], row
        runs = [tuple(words[i:i + 4]) for i in range(len(words) - 3)]
        assert len(runs) == len(set(runs)), row


def test_every_file_ends_as_data_or_with_a_reason(odd: OddBuild) -> None:
    files = {path.name for path in odd.folder.iterdir()}
    assert files == KEPT | set(LEFT_OUT_WHOLE)
    assert {row["source"] for row in rows(odd.out, "videos")} == KEPT
    for name, reasons in LEFT_OUT_WHOLE.items():
        found = odd.of("rejected", name)
        assert [row["reason"] for row in found] == list(reasons), name
        assert found[0]["detail"].startswith(SENTENCES[Reason(found[0]["reason"])])


def test_every_rejection_is_worded_for_people(odd: OddBuild) -> None:
    _check_words([row for row in rows(odd.out, "rejected") if row["stage"] in ("sources", "probe", "decode")])


def test_the_good_file_is_unharmed(odd: OddBuild) -> None:
    assert [(row["start_s"], row["end_s"], row["frames_decoded"]) for row in odd.of("clips", "good.mp4")] == [
        (0, 14, 350), (14, 28, 350), (28, 30, 50)]
    assert _shown(odd.of("frames", "good.mp4")) == _firsts(odd.truth, (0, 30))


@pytest.mark.parametrize(("name", "kept"), [("overwritten.mp4", [0, 2]), ("lost_packets.ts", [0, 2])])
def test_damage_costs_the_clips_it_lies_in_and_no_others(odd: OddBuild, name: str, kept: list[int]) -> None:
    clips = odd.of("clips", name)
    assert [clip["clip_index"] for clip in clips] == kept
    assert all(clip["frames_decoded"] == clip["frames_expected"] for clip in clips)
    rejected = [row for row in odd.of("rejected", name) if row["stage"] == "decode"]
    assert [(row["reason"], row["clip_index"]) for row in rejected] == [("frames_missing", 1)]
    wanted = [pair for clip in clips for pair in _firsts(odd.truth, (clip["start_s"], clip["end_s"]))]
    assert _shown(odd.of("frames", name)) == wanted


def test_a_file_cut_off_keeps_its_whole_clips_and_says_that_it_ends_early(odd: OddBuild) -> None:
    clips = odd.of("clips", "cut_off.mp4")
    assert (clips[0]["start_s"], clips[0]["end_s"]) == (0, 14)
    assert clips[-1]["end_s"] < 20
    for clip in clips:
        inside = [number for number, time in odd.truth if clip["start_s"] <= time < clip["end_s"]]
        assert clip["frames_decoded"] == clip["frames_expected"] == len(inside)
    early = [row for row in odd.of("rejected", "cut_off.mp4") if row["reason"] == Reason.FILE_ENDS_EARLY]
    assert len(early) == 1
    assert "30.0 s" in early[0]["detail"]
    assert _shown(odd.of("frames", "cut_off.mp4")) == _firsts(odd.truth, (0, clips[-1]["end_s"]))


def test_a_turned_video_is_stored_upright(odd: OddBuild, tmp_path: Path) -> None:
    video, = odd.of("videos", "turned.mp4")
    assert (video["width"], video["height"], video["rotation"]) == (180, 320, 90)
    frames = odd.of("frames", "turned.mp4")
    assert {(row["width"], row["height"]) for row in frames} == {(180, 320)}
    right = np.asarray(upright_by_ffmpeg(odd.folder / "turned.mp4", tmp_path / "right.png"), dtype=float)
    assert np.abs(_picture(frames[0]) - right).mean() < 6
    assert [read_number(np.rot90(_picture(row), -1)) for row in frames] == [
        number for _, number in _firsts(odd.truth, (0, 30))]


@pytest.mark.parametrize("name", ["latin.mkv", "latin.mp4"])
def test_a_title_in_another_encoding_costs_a_letter_and_not_the_video(tmp_path: Path, name: str) -> None:
    truth = write_numbered(tmp_path / "good.mp4", "constant", 100, 320, 180)
    write_latin_titles(tmp_path / "good.mp4", tmp_path / name)
    facts = read_facts(str(tmp_path / name))
    assert (facts.title, [title for _, _, title in facts.chapters]) == ("Caf\ufffd", ["Caf\ufffd"])
    assert len(facts.ticks) == len(truth)


def test_a_video_shorter_than_a_clip_is_one_clip(odd: OddBuild) -> None:
    assert [(row["start_s"], row["end_s"], row["frames_decoded"]) for row in odd.of("clips", "short.mp4")] == [
        (0, 6, 150)]


def test_the_given_odd_files_end_as_data_or_with_a_reason(test_data: Path, tmp_path: Path) -> None:
    folder, out = test_data / "videos" / "odd", tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == GIVEN_KEPT | set(GIVEN_LEFT_OUT)
    built(folder, "--out", out, "--workers", "2")
    assert {row["source"] for row in rows(out, "videos")} == GIVEN_KEPT
    rejected = [row for row in rows(out, "rejected") if row["stage"] in ("sources", "probe", "decode", "quality")]
    _check_words(rejected)
    for name, reasons in GIVEN_LEFT_OUT.items():
        found = {row["reason"] for row in rejected if row["source"] == name}
        assert found, name
        assert found <= reasons, name
    assert all(clip["frames_decoded"] == clip["frames_expected"] > 0 for clip in rows(out, "clips"))
