"""Clip files hold exactly the frames of their windows, whatever the container does, and come and go with the choice."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import decord
import imageio_ffmpeg
import numpy as np
import pytest

from pipeline import video_stages
from pipeline.captions import make_captioner
from pipeline.catalogue import read_catalogue
from pipeline.clip_files import clip_file_name
from pipeline.cut_clips import cut_clips
from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.explain import Explainer
from pipeline.journal import Journal, read_journal
from pipeline.killable_worker import WorkerPool
from pipeline.record_files import read_records
from pipeline.shards import write_shards
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import Workshop
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.records import Clip, Source
from tests.numbered_videos import VARIANTS, Shown, read_number, write_numbered
from tests.odd_files import overwritten

CLIP_S = 3
SETTINGS = DecodeSettings(
    clip_seconds=CLIP_S, min_last_clip_seconds=1, max_hours=24, caption_frames=4, caption_frame_side=64,
    frame_side=64, jpeg_quality=88)


def _source(path: Path) -> Source:
    return Source(path=str(path), source=path.name)


def _cut(path: Path, folder: Path, threads: int = 1) -> list[Path]:
    folder.mkdir()
    cut_clips(lambda share: None, _source(path), "v", SETTINGS, threads, folder)
    return sorted(folder.iterdir())


def _frames(path: Path) -> list[tuple[int | None, Fraction]]:
    """The number that each frame shows, and its time."""
    with av.open(str(path)) as container:
        return [(read_number(frame.to_ndarray(format="rgb24")), frame.pts * frame.time_base)
                for frame in container.decode(video=0)]


def _windows(truth: list[Shown], duration: Fraction) -> list[list[Shown]]:
    """What each clip must show, by the times at which the frames were written."""
    count = int(duration // CLIP_S) + (duration % CLIP_S >= 1)
    return [[one for one in truth if index * CLIP_S <= one.time < (index + 1) * CLIP_S] for index in range(count)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_clip_file_shows_the_frames_of_its_window_and_no_other(variant: str, tmp_path: Path) -> None:
    path = tmp_path / f"video{VARIANTS[variant].suffix}"
    truth = write_numbered(path, variant, 250, 320, 180)
    files = _cut(path, tmp_path / "clips")
    windows = [window for window in _windows(truth, truth[-1].time + Fraction(1, 25)) if window]
    assert [file.name for file in files] == [
        clip_file_name("v", int(window[0].time // CLIP_S)) for window in windows]
    for file, window in zip(files, windows, strict=True):
        shown = _frames(file)
        assert [number for number, _ in shown] == [one.number for one in window]
        assert [time for _, time in shown] == pytest.approx([one.time - window[0].time for one in window], abs=1e-3)


def test_readers_that_ignore_edit_lists_see_the_same_frames(tmp_path: Path) -> None:
    truth = write_numbered(tmp_path / "video.mp4", "open_gop", 250, 320, 180)
    files = _cut(tmp_path / "video.mp4", tmp_path / "clips")
    for file, window in zip(files, _windows(truth, Fraction(10)), strict=True):
        pictures = decord.VideoReader(str(file), num_threads=1).get_batch(range(len(window))).asnumpy()
        assert [read_number(picture) for picture in pictures] == [one.number for one in window]


def test_one_pass_makes_what_two_make_with_any_number_of_threads(tmp_path: Path) -> None:
    write_numbered(tmp_path / "video.mp4", "constant", 200, 320, 180)
    for name in ("alone", "together", "clips"):
        (tmp_path / name).mkdir()
    source = _source(tmp_path / "video.mp4")
    decode_video(lambda share: None, source, "v", SETTINGS, 1, tmp_path / "alone")
    decode_video(lambda share: None, source, "v", SETTINGS, 1, tmp_path / "together", None, tmp_path / "clips")
    files = _cut(tmp_path / "video.mp4", tmp_path / "later", threads=3)
    assert len(files) == 3
    assert [file.read_bytes() for file in files] == [
        file.read_bytes() for file in sorted((tmp_path / "clips").iterdir())]
    assert {file.name: file.read_bytes() for file in (tmp_path / "alone").iterdir()} == {
        file.name: file.read_bytes() for file in (tmp_path / "together").iterdir()}


def test_a_clip_that_lacks_a_frame_has_no_file(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered(path, "constant", 300, 320, 180)
    data = path.read_bytes()
    path.write_bytes(overwritten(data, len(data) // 2, np.random.default_rng(0).bytes(2000)))
    for name in ("decoded", "clips"):
        (tmp_path / name).mkdir()
    decode_video(lambda share: None, _source(path), "v", SETTINGS, 1, tmp_path / "decoded", None, tmp_path / "clips")
    whole = [clip.clip_index for clip in read_records(tmp_path / "decoded" / "clips.json", Clip)]
    assert 0 < len(whole) < 4
    assert [file.name for file in sorted((tmp_path / "clips").iterdir())] == [
        clip_file_name("v", index) for index in whole]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_videos_are_upright_in_their_clip_files(degrees: int, tmp_path: Path) -> None:
    write_numbered(tmp_path / "video.mp4", "constant", 75, 320, 180)
    _ffmpeg("-display_rotation", str(degrees), "-i", tmp_path / "video.mp4", "-c", "copy", tmp_path / "turned.mp4")
    _ffmpeg("-i", tmp_path / "turned.mp4", "-crf", "1", "-fps_mode", "passthrough", tmp_path / "as_played.mp4")
    (file,) = _cut(tmp_path / "turned.mp4", tmp_path / "clips")
    for ours, played in zip(_pictures(file), _pictures(tmp_path / "as_played.mp4"), strict=True):
        assert ours.shape == played.shape
        assert np.abs(ours.astype(int) - played).mean() < 4


def test_odd_sizes_and_long_pixels_keep_their_shape(tmp_path: Path) -> None:
    write_numbered(tmp_path / "video.mp4", "constant", 50, 320, 180)
    _ffmpeg("-i", tmp_path / "video.mp4", "-vf", "scale=159:121,setsar=4/3", "-pix_fmt", "yuv444p", "-c:v", "libx264",
            tmp_path / "odd.mp4")
    (file,) = _cut(tmp_path / "odd.mp4", tmp_path / "clips")
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.pix_fmt) == (158, 120, "yuv420p")
        shape = stream.width * stream.sample_aspect_ratio / stream.height
        assert float(shape) == pytest.approx(159 * 4 / 3 / 121, rel=0.01)
    assert [number for number, _ in _frames(file)] == list(range(50))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    config, store = BuildConfig(clip_seconds=CLIP_S), WorkStore(tmp_path / "out")
    journal = Journal(store.root)
    with WorkerPool(1) as workers:
        yield Workshop(config, store, journal, workers, make_captioner(config))
    journal.close()


def _keeping(shop: Workshop) -> Workshop:
    return replace(shop, config=shop.config.model_copy(update={"keep_clips": True}))


def _products(shop: Workshop, source: Source) -> VideoProducts:
    video_id = video_stages.identify_source(shop, source)
    decoded = video_stages.decode(shop, source, video_id)
    captioned = video_stages.caption(shop, source, decoded)
    clued = video_stages.clue(shop, source, decoded, captioned)
    return VideoProducts(
        video_id, source, decoded, captioned, clued, video_stages.question(shop, source, decoded, captioned, clued))


def _done(shop: Workshop) -> list[str]:
    return [line["stage"] for line, _ in read_journal(shop.journal.path, 0) if line["event"] == "done"]


def test_they_are_made_with_the_pictures_or_later_alone(shop: Workshop, tmp_path: Path) -> None:
    write_numbered(tmp_path / "one.mp4", "constant", 200, 320, 180)
    write_numbered(tmp_path / "two.mp4", "ntsc", 200, 320, 180)
    stages = ["probe", "decode", "captions", "clues", "questions"]
    keeping = _keeping(shop)
    first = _products(keeping, _source(tmp_path / "one.mp4"))
    assert _done(shop) == stages, "one pass"
    assert _products(shop, _source(tmp_path / "one.mp4")) == first, "who keeps clips changes no other product"
    second = _products(shop, _source(tmp_path / "two.mp4"))
    assert _done(shop) == stages * 2
    explained = Explainer(keeping.config, tmp_path / "out", read_catalogue(shop.store.root)).explain(
        [_source(tmp_path / "one.mp4"), _source(tmp_path / "two.mp4")])
    assert [one.would_run for one in explained] == [{}, {"clip_files": "it was not made yet"}]
    assert not video_stages.is_decoded(keeping, second.video_id), "its bytes are still needed"
    assert _products(keeping, _source(tmp_path / "two.mp4")) == second
    assert _done(shop) == [*stages * 2, "clip_files"]
    assert video_stages.is_decoded(keeping, second.video_id)


def test_they_stand_beside_the_tables_as_long_as_they_are_asked_for(shop: Workshop, tmp_path: Path) -> None:
    write_numbered(tmp_path / "one.mp4", "constant", 200, 320, 180)
    keeping, out = _keeping(shop), tmp_path / "out"
    products = _products(keeping, _source(tmp_path / "one.mp4"))

    def publish(config: BuildConfig) -> dict:
        return write_shards(config, config.without_machine(), [products], [], out, shop.store)

    manifest = publish(keeping.config)
    files = sorted((out / "clip_files").rglob("*.mp4"))
    clips = read_records(products.decoded / "clips.json", Clip)
    assert [file.relative_to(out).as_posix() for file in files] == [
        f"clip_files/{clip.video_id}/{clip.clip_id}.mp4" for clip in clips]
    assert (manifest["clip_files"]["files"], manifest["clip_files"]["bytes"]) == (
        len(clips), sum(file.stat().st_size for file in files))
    published = (out / "manifest.json").stat().st_ino
    publish(keeping.config)
    assert (out / "manifest.json").stat().st_ino == published, "nothing changed, nothing is touched"
    files[0].unlink()
    publish(keeping.config)
    assert sorted((out / "clip_files").rglob("*.mp4")) == files, "one that was lost comes back"
    assert "clip_files" not in publish(shop.config)
    assert not (out / "clip_files").exists()


def _pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _ffmpeg(*arguments: str | Path) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True,
                   stdin=subprocess.DEVNULL)
