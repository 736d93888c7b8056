"""Every frame is the one its time says: videos whose frames show their own number go through the decode stage.

What is right is computed here from the truth list of the numbered video, never from what was decoded.
"""

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.decode import read_facts, read_frames
from pipeline.decode_video import DecodeSettings, decode_video, read_jpegs
from pipeline.record_files import read_records
from schemas.reasons import Reason
from schemas.records import Clip, Rejection, Source, Video
from tests.numbered_videos import VARIANTS, Shown, read_number, write_numbered

CAPTION_FRAMES = 8
MIN_LAST_S = Fraction(2)
HOLE_S = Fraction(7, 2)
"""How long nothing new appears in the middle of the irregular variants."""

Written = tuple[Path, list[Shown]]
Span = tuple[Fraction, Fraction]


@pytest.fixture(scope="module", params=VARIANTS)
def numbered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, long_tests: bool) -> Written:
    """A numbered video of each kind of timing, with the frames a player shows."""
    path = tmp_path_factory.mktemp(request.param) / f"numbered{VARIANTS[request.param].suffix}"
    size = (640, 360) if long_tests else (320, 180)
    return path, write_numbered(path, request.param, 3000 if long_tests else 750, *size)


def _irregular(variant: str, tmp_path: Path) -> Written:
    path = tmp_path / f"numbered{VARIANTS[variant].suffix}"
    return path, write_numbered(path, variant, 240, 320, 180)


def _decode(path: Path, clip_s: Fraction, folder: Path, min_last_s: Fraction = MIN_LAST_S) -> Path:
    folder.mkdir()
    settings = DecodeSettings(
        clip_seconds=float(clip_s), min_last_clip_seconds=float(min_last_s), max_hours=24,
        caption_frames=CAPTION_FRAMES, caption_frame_side=180, frame_side=168, jpeg_quality=88)
    decode_video(lambda share: None, Source(path=str(path), source=path.name), "v", settings, 0, folder)
    return folder


def _duration(truth: list[Shown]) -> Fraction:
    """The last frame is shown as long as the usual one."""
    times = [time for _, time in truth]
    return times[-1] + median_low([b - a for a, b in pairwise(times)])


def _clip_spans(truth: list[Shown], clip_s: Fraction) -> list[Span]:
    duration = _duration(truth)
    starts = [clip_s * i for i in range(int(duration / clip_s) + 1)]
    spans = [(start, min(start + clip_s, duration)) for start in starts]
    return [span for span in spans if span[1] - span[0] >= MIN_LAST_S]


def _inside(truth: list[Shown], span: Span) -> list[Shown]:
    return [shown for shown in truth if span[0] <= shown.time < span[1]]


def _first_of_each(truth: list[Shown], step: Fraction, end: Fraction) -> list[Shown]:
    firsts: dict[int, Shown] = {}
    for shown in truth:
        if shown.time < end:
            firsts.setdefault(int(shown.time / step), shown)
    return list(firsts.values())


def _number(jpeg: bytes) -> int | None:
    return read_number(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))


def _stored(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "frames.parquet").to_pylist()


def _clip_of(spans: list[Span], time: Fraction) -> int:
    return next(index for index, (start, end) in enumerate(spans) if start <= time < end)


@pytest.fixture(params=[Fraction(14), Fraction(15, 2)], ids=["14s", "7.5s"])
def decoded(request: pytest.FixtureRequest, numbered: Written, tmp_path: Path) -> tuple[Path, list[Shown], list[Span]]:
    path, truth = numbered
    return _decode(path, request.param, tmp_path / "product"), truth, _clip_spans(truth, request.param)


def test_clips_and_pictures_are_those_of_the_truth(decoded: tuple[Path, list[Shown], list[Span]]) -> None:
    """One decode, everything that comes of it: clips, stored frames, caption frames, thumbnails, looks."""
    folder, truth, spans = decoded
    _check_clips(folder, truth, spans)
    _check_stored(folder, truth, spans)
    _check_caption_frames(folder, truth, spans)
    _check_thumbnails(folder, truth, spans)
    _check_looks(folder, truth, spans)


def _check_clips(folder: Path, truth: list[Shown], spans: list[Span]) -> None:
    clips = read_records(folder / "clips.json", Clip)
    counts = [len(_inside(truth, span)) for span in spans]
    assert min(counts) > 25
    assert [clip.clip_index for clip in clips] == list(range(len(spans)))
    assert [(clip.start_s, clip.end_s) for clip in clips] == [(float(a), float(b)) for a, b in spans]
    assert [clip.frames_expected for clip in clips] == counts
    assert [clip.frames_decoded for clip in clips] == counts


def _check_stored(folder: Path, truth: list[Shown], spans: list[Span]) -> None:
    wanted = _first_of_each(truth, Fraction(1), spans[-1][1])
    assert [
        (row["frame_index"], row["t_s"], row["clip_index"], _number(row["image"]["bytes"])) for row in _stored(folder)
    ] == [(index, float(time), _clip_of(spans, time), number) for index, (number, time) in enumerate(wanted)]


def _check_caption_frames(folder: Path, truth: list[Shown], spans: list[Span]) -> None:
    jpegs = list(read_jpegs(folder))
    said = [time for clip in read_records(folder / "clips.json", Clip) for time in clip.caption_frames_s]
    assert said == [t_s for _, t_s, _ in jpegs] == sorted(set(said))
    for index, span in enumerate(spans):
        mine = [(t_s, _number(jpeg)) for clip_index, t_s, jpeg in jpegs if clip_index == index]
        inside = {float(time): number for number, time in _inside(truth, span)}
        assert mine == [(t_s, inside[t_s]) for t_s, _ in mine]
        part = (span[1] - span[0]) / CAPTION_FRAMES
        middles = [span[0] + part * (2 * k + 1) / 2 for k in range(CAPTION_FRAMES)]
        # Where little is shown one frame may be nearest to several middles.
        serves = [[t_s for t_s, _ in mine if _is_nearest(t_s, middle, truth, span)] for middle in middles]
        assert all(serves)
        assert {t_s for some in serves for t_s in some} == {t_s for t_s, _ in mine}


def _is_nearest(t_s: float, wanted: Fraction, truth: list[Shown], span: Span) -> bool:
    """To a tick: Matroska counts milliseconds, so that the time wanted is rounded by up to one."""
    nearest = min(abs(time - wanted) for _, time in _inside(truth, span))
    return abs(Fraction(t_s) - wanted) - nearest <= Fraction(2, 1000)


def _check_thumbnails(folder: Path, truth: list[Shown], spans: list[Span]) -> None:
    thumbnails = pq.read_table(folder / "thumbnails.parquet").to_pylist()
    assert [row["clip_index"] for row in thumbnails] == list(range(len(spans)))
    for row, span in zip(thumbnails, spans, strict=True):
        times = dict(_inside(truth, span))
        assert _is_nearest(float(times[_number(row["jpeg"])]), (span[0] + span[1]) / 2, truth, span)


def _check_looks(folder: Path, truth: list[Shown], spans: list[Span]) -> None:
    wanted = _first_of_each(truth, Fraction(1, 4), spans[-1][1])
    looks = pq.read_table(folder / "looks.parquet").to_pylist()
    assert [(row["t_s"], row["clip_index"]) for row in looks] == [
        (float(time), _clip_of(spans, time)) for _, time in wanted]


def test_the_video_record_knows_its_own_timing(numbered: Written, tmp_path: Path, request: Any) -> None:
    path, truth = numbered
    video = read_records(_decode(path, Fraction(14), tmp_path / "product") / "video.json", Video)[0]
    variant = VARIANTS[request.node.callspec.params["numbered"]]
    assert video.duration_s == float(_duration(truth))
    assert video.variable_frame_rate == variant.irregular
    if not variant.irregular:
        assert video.fps == pytest.approx(float(variant.rate))


@pytest.mark.parametrize("variant", ["variable_mp4", "variable_mkv"])
def test_where_nothing_new_appears_no_frame_is_made_up(variant: str, tmp_path: Path) -> None:
    """Clips so short that whole ones lie in the hole: those are rejected, the others keep their own frames."""
    path, truth = _irregular(variant, tmp_path)
    clip_s = Fraction(1)
    folder = _decode(path, clip_s, tmp_path / "product", min_last_s=clip_s)
    spans = [(clip_s * i, clip_s * (i + 1)) for i in range(int(_duration(truth) / clip_s))]
    empty = [index for index, span in enumerate(spans) if not _inside(truth, span)]
    assert 2 <= len(empty) <= int(HOLE_S)
    rejected = read_records(folder / "rejected.json", Rejection)
    assert [row.clip_index for row in rejected if row.reason is Reason.NO_FRAME_OF_ITS_OWN] == empty
    clips = read_records(folder / "clips.json", Clip)
    assert {clip.clip_index: clip.frames_decoded for clip in clips} == {
        index: len(_inside(truth, span)) for index, span in enumerate(spans) if index not in empty}
    firsts = _first_of_each(truth, Fraction(1), spans[-1][1])
    assert [(row["t_s"], _number(row["image"]["bytes"])) for row in _stored(folder)] == [
        (float(time), number) for number, time in firsts]


def test_any_number_of_threads_reads_the_same_frames(numbered: Written) -> None:
    path, truth = numbered
    for threads in (1, 4):
        assert list(_read(path, threads)) == [(index, number) for index, (number, _) in enumerate(truth)]


def _read(path: Path, threads: int) -> Iterator[tuple[int, int | None]]:
    for position, frame in read_frames(str(path), read_facts(str(path)), threads):
        yield position, read_number(frame.reformat(width=320, height=180).to_ndarray(format="rgb24"))


def test_the_check_itself_notices_a_wrong_frame(tmp_path: Path) -> None:
    """A truth that is off by one frame must not pass."""
    path, truth = _irregular("variable_mp4", tmp_path)
    shifted = [Shown(number + 1, time) for number, time in truth]
    folder = _decode(path, Fraction(14), tmp_path / "product")
    spans = _clip_spans(truth, Fraction(14))
    checks: list[Callable[..., None]] = [_check_stored, _check_caption_frames]
    for check in checks:
        check(folder, truth, spans)
        with pytest.raises(AssertionError):
            check(folder, shifted, spans)
