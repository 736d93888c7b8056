"""Needles: planted where they are said to be, found by who sees them, and missed by who does not."""

import hashlib
import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calibration import is_named
from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.frame_plan import ClipPlan
from pipeline.needle_plan import plan_needles
from pipeline.needles import Canvas, Needle, NeedlePainter, is_planted, planted_id
from pipeline.picture_hash import ALIKE_BITS, picture_hash
from pipeline.small_pictures import LOOK_WIDTH, small_yuv
from schemas.build_config import BuildConfig
from schemas.records import Source
from tests.builds import rows
from tests.fault_server import FaultServer
from tests.pipeline.test_quality_gates import _draw
from tests.seeing_server import CONFUSED, SeeingModel, needles_of, thumbnail
from tests.stages import run_stages

CLIP_SECONDS = 3


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty clips: ten needles."""
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    _draw(path, "mandelbrot=size=320x180:rate=8", 120)
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One output for all models, so that the film is decoded once; each test builds it anew."""
    return tmp_path_factory.mktemp("built") / "out"


def planted(video: Path, out: Path, name: str, model: SeeingModel) -> dict[str, Any]:
    """Build from the planted copy alone, with a model of this name; returns the manifest's figures."""
    choices = {"caption_model": name, "caption_frames": 4, "clip_seconds": CLIP_SECONDS, "picture_questions": 2,
               "calibrate": 1, "frame_side": 90, "caption_frame_side": 180, "blind": "built-in"}
    with FaultServer(say=model) as server:
        run_stages(video, out, BuildConfig(
            captioner="served", orderer="served", caption_urls=[server.url], **choices), planted=True)
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))["calibration"]


def test_who_sees_the_pixels_finds_every_needle(video: Path, out: Path) -> None:
    needles = needles_of(video, CLIP_SECONDS)
    found = planted(video, out, "eyes", SeeingModel(needles))
    assert (found["videos"], found["needles"]) == (1, 10)
    assert (found["captioned"], found["clues"], found["clue_share"], found["misplaced"]) == (10, 10, 1.0, 0)
    assert (found["pairs"], found["pairs_in_order"], found["order_share"]) == (45, 45, 1.0)
    _the_needles_are_in_the_pictures(out, needles)
    for table in ("videos", "samples"):
        assert {row["calibration"] for row in rows(out, table)} == {True}
        assert {row["split"] for row in rows(out, table)} == {"calibration"}
    assert not list((out / "data").glob("[vcsf]*/[!c]*.parquet"))


def _the_needles_are_in_the_pictures(out: Path, needles: list[Any]) -> None:
    """The stored frames inside a needle, and only those, look like what was drawn."""
    model = SeeingModel(needles)
    for row in rows(out, "frames"):
        rgb = cv2.imdecode(np.frombuffer(row["image"]["bytes"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        inside = [one.needle.text for one in needles if one.needle.start_s <= row["t_s"] < one.needle.end_s]
        assert model.recognise(thumbnail(rgb)) == next(iter(inside), None), row["t_s"]


def test_who_confuses_a_tenth_of_them_shows_it(video: Path, out: Path) -> None:
    found = planted(video, out, "confused", SeeingModel(needles_of(video, CLIP_SECONDS), confused=1))
    assert (found["needles"], found["captioned"], found["clues"], found["clue_share"]) == (10, 9, 9, 0.9)
    assert found["pairs"] == 36
    assert CONFUSED in {clip["caption"] for clip in rows(out, "clips")}
    assert "9 of 10 (90.0%)" in (out / "README.md").read_text(encoding="utf-8")


def test_who_orders_backwards_shows_it(video: Path, out: Path) -> None:
    """Ten chapters of clips, each in reverse: the clock keeps few clues, and what was dropped is counted."""
    class Backwards(SeeingModel):
        def __call__(self, said: dict[str, Any]) -> str:
            answer = json.loads(super().__call__(said))
            return json.dumps({"clues": answer["clues"][::-1]} if "clues" in answer else answer)

    found = planted(video, out, "backwards", Backwards(needles_of(video, CLIP_SECONDS)))
    assert found["captioned"] == 10
    assert found["clues"] < 5
    assert found["order_share"] == 0.0
    assert set(found["dropped_by_reason"]) == {"order_against_clock"}


def test_which_videos_are_planted_depends_on_their_ids_alone() -> None:
    assert planted_id("a" * 32, 0) != planted_id("a" * 32, 1)
    assert len(planted_id("a" * 32, 0)) == 32
    chosen = [is_planted(f"{number:032x}", 0.02) for number in range(20_000)]
    assert 300 < sum(chosen) < 500
    assert all(is_planted(f"{number:032x}", 0.5) for number, is_in in enumerate(chosen) if is_in)


SHAPES = st.sampled_from([Canvas(320, 180, 0), Canvas(180, 320, 90), Canvas(200, 150, 180), Canvas(480, 200, 0)])


def _clips(count: int, seconds: float) -> list[ClipPlan]:
    return [ClipPlan(index, index * seconds, (index + 1) * seconds, index, index + 1, (), None)
            for index in range(count)]


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 24), st.floats(2, 60), SHAPES, st.integers(0, 2 ** 31))
def test_needles_lie_inside_clips_apart_and_are_told_apart(
    count: int, seconds: float, canvas: Canvas, seed: int
) -> None:
    clips = _clips(count, seconds)
    needles = [planned.needle for planned in plan_needles(clips, canvas, "b" * 32, seed)]
    assert needles == [planned.needle for planned in plan_needles(clips, canvas, "b" * 32, seed)]
    assert len(needles) == max(1, count // 4)
    assert len({needle.clip_index for needle in needles}) == len(needles)
    for needle in needles:
        clip = clips[needle.clip_index]
        assert clip.start_s <= needle.start_s < needle.end_s <= clip.end_s
        assert needle.end_s - needle.start_s <= 4.001
        assert [other.name for other in needles if is_named(other, needle.text)] == [needle.name]


def test_no_two_needles_of_a_video_look_alike(long_tests: bool) -> None:
    """At any time at which they are shown, in the pictures of videos of several shapes: hashes of what is painted."""
    canvases = (Canvas(320, 180, 0), Canvas(1280, 720, 0), Canvas(360, 640, 0), Canvas(240, 320, 90))
    for seed in range(300 if long_tests else 4):
        canvas = canvases[seed % len(canvases)]
        planned = plan_needles(_clips(96 if seed % 30 == 0 else 40, 3.0), canvas, "c" * 32, seed)
        assert len(planned) == (24 if seed % 30 == 0 else 10)
        looks = _painted_looks([one.needle for one in planned], NeedlePainter(planned, canvas), canvas)
        for number, mine in enumerate(looks):
            for other in looks[:number]:
                assert min((one ^ another).bit_count() for one in mine for another in other) > ALIKE_BITS, seed


def _painted_looks(needles: list[Needle], painter: NeedlePainter, canvas: Canvas) -> list[set[int]]:
    """The hash of each picture that is painted in the place of a black one, 24 times a second, by needle."""
    size = (canvas.height, canvas.width) if canvas.rotation == 90 else (canvas.width, canvas.height)
    black = av.VideoFrame.from_ndarray(np.zeros((size[1], size[0], 3), np.uint8), format="rgb24")
    looks = []
    for needle in needles:
        times = np.arange(needle.start_s, needle.end_s, 1 / 24).tolist()
        painted = [painter.paint(t_s, black) for t_s in times]
        assert not any(frame is black for frame in painted)
        looks.append({picture_hash(small_yuv(frame, LOOK_WIDTH)[..., 0]) & (1 << 64) - 1 for frame in painted})
    return looks


def test_a_needle_is_named_by_all_its_words() -> None:
    needle = Needle(clip_index=0, start_s=0, end_s=1, kind="still", text="", name="red pine tree")
    assert is_named(needle, "There is a RED, striped pine tree.")
    assert not is_named(needle, "A red tree.")
    assert not is_named(needle, "A hundred pine trees.")


def test_frames_outside_needles_are_those_of_the_video(video: Path, tmp_path: Path) -> None:
    sizes = DecodeSettings(
        clip_seconds=CLIP_SECONDS, min_last_clip_seconds=2, max_hours=24, caption_frames=1, caption_frame_side=64,
        frame_side=90, jpeg_quality=88)
    video_id = planted_id(hashlib.sha256(video.read_bytes()).hexdigest()[:32], 0)
    frames = []
    for seed in (None, 0):
        (tmp_path / f"{seed}").mkdir()
        decode_video(lambda share: None, Source(path=str(video), source="film.mp4"), video_id, sizes, 0,
                     tmp_path / f"{seed}", seed)
        frames.append(pq.read_table(tmp_path / f"{seed}" / "frames.parquet").to_pylist())
    needles = [one.needle for one in needles_of(video, CLIP_SECONDS)]
    changed = [row["t_s"] for row, other in zip(*frames, strict=True)
               if row["image"]["bytes"] != other["image"]["bytes"]]
    assert changed == [row["t_s"] for row in frames[0]
                       if any(needle.start_s <= row["t_s"] < needle.end_s for needle in needles)]
