"""Picking a few frames out of a file gives the frame a player shows, with decord and without it."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import decode
from pipeline.decode import VideoFacts, pick_frames, read_facts
from tests.numbered_videos import VARIANTS, read_number, write_numbered
from tests.odd_files import overwritten


@pytest.mark.parametrize("reader", ["decord where it is right", "PyAV"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_picked_frames_are_the_ones_shown(
    tmp_path: Path, variant: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"numbered{VARIANTS[variant].suffix}"
    shown = write_numbered(path, variant, frames=300)
    facts = read_facts(str(path))
    if reader == "PyAV":
        monkeypatch.setattr(decode, "_decord_reader", lambda path, facts: None)
    times_s = np.sort(np.random.default_rng(5).uniform(0, facts.duration_s, 24)).tolist()

    picked = list(pick_frames(str(path), facts, times_s))

    for asked_s, (time_s, picture) in zip(times_s, picked, strict=True):
        right = [frame for frame in shown if frame.time <= asked_s + 1e-9] or shown[:1]
        assert read_number(picture) == right[-1].number
        assert time_s == pytest.approx(float(right[-1].time), abs=1e-9)


def test_decord_is_used_for_plain_files_and_never_for_those_it_gets_wrong(tmp_path: Path) -> None:
    def uses_decord(variant: str) -> bool:
        path = tmp_path / f"{variant}{VARIANTS[variant].suffix}"
        write_numbered(path, variant, frames=100)
        facts: VideoFacts = read_facts(str(path))
        return decode._decord_reader(str(path), facts) is not None

    pytest.importorskip("decord")
    assert uses_decord("constant")
    assert not uses_decord("edit_list")
    assert not uses_decord("plain_ts")


def test_damage_that_ends_decord_is_left_behind(tmp_path: Path) -> None:
    decord = pytest.importorskip("decord")
    path = tmp_path / "damaged.mp4"
    write_numbered(path, "constant", frames=300)
    data = path.read_bytes()
    path.write_bytes(overwritten(data, len(data) // 3, np.random.default_rng(0).bytes(len(data) // 10)))
    facts = read_facts(str(path))
    reader = decode._decord_reader(str(path), facts)
    with pytest.raises(decord.DECORDError):
        [reader[position] for position in range(300)]

    numbers = [read_number(picture) for _, picture in pick_frames(str(path), facts, np.arange(0, 12, 0.5).tolist())]

    assert numbers[:4] == [0, 12, 25, 37]
    assert numbers[-4:] == [250, 262, 275, 287]


def test_same_time_twice_gives_the_same_frame_twice(tmp_path: Path) -> None:
    path = tmp_path / "numbered.mp4"
    write_numbered(path, "constant", frames=50)
    numbers = [read_number(picture) for _, picture in pick_frames(str(path), read_facts(str(path)), [1.0, 1.0, 1.01])]
    assert numbers == [25, 25, 25]


@pytest.mark.parametrize("width", [16, 24, 48, 72])
def test_narrow_pictures_that_decord_hands_out_garbled_come_right(tmp_path: Path, width: int) -> None:
    """decord takes the padding of such rows for a fourth colour and more."""
    path = tmp_path / "narrow.mp4"
    picture = np.repeat(np.linspace(0, 255, width).astype(np.uint8)[None, :, None], 32, 0).repeat(3, 2)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", 10)
        stream.width, stream.height, stream.pix_fmt = width, 32, "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())
    [(_, picked)] = pick_frames(str(path), read_facts(str(path)), [0.0])
    assert picked.shape == picture.shape
    assert np.abs(picked.astype(int) - picture).mean() < 6
