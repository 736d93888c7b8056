"""The helper itself: numbers can be read back, and the times it promises are those in the file."""

import io
import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.numbered_videos import CUT_S, VARIANTS, numbered_picture, read_number, write_numbered

NUMBERS = (0, 1, 2, 255, 256, 1499, 99_999, (1 << 20) - 1)


def _packets(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize("size", [(640, 360), (598, 336), (336, 189), (160, 90), (1280, 720), (411, 333)])
def test_numbers_survive_scaling_and_jpeg(size: tuple[int, int]) -> None:
    for number in NUMBERS:
        picture = Image.fromarray(numbered_picture(number)).resize(size, Image.Resampling.BILINEAR)
        stored = io.BytesIO()
        picture.save(stored, "JPEG", quality=60)
        assert read_number(np.asarray(Image.open(stored))) == number


def test_what_is_no_number_reads_as_none() -> None:
    flat = [np.full((360, 640, 3), grey, np.uint8) for grey in (0, 128, 255)]
    mixed = (numbered_picture(6).astype(int) + numbered_picture(9)) // 2
    noise = np.random.default_rng(0).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    wrong = numbered_picture(1234)
    wrong[:40, :40] = 255 - wrong[:40, :40]
    upside_down = numbered_picture(1234)[::-1]
    for picture in (*flat, mixed, noise, wrong, upside_down):
        assert read_number(picture) is None


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="20 bits"):
        numbered_picture(1 << 20)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_frame_is_shown_at_the_time_promised(tmp_path: Path, variant: str) -> None:
    path = tmp_path / f"numbered{VARIANTS[variant].suffix}"
    promised = write_numbered(path, variant, frames=160)
    with av.open(str(path)) as container:
        start = Fraction(container.start_time, av.time_base)
        shown = [
            (read_number(frame.to_ndarray(format="rgb24")), frame.pts * frame.time_base - start)
            for frame in container.decode(video=0)
        ]
    assert shown == promised


def test_the_constant_variant_has_b_frames_and_closed_groups(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", "constant", frames=160)
    times = [packet.pts for packet in _packets(tmp_path / "a.mp4")]
    assert times != sorted(times)
    assert _leading(tmp_path / "a.mp4") == 0


def test_open_groups_have_pictures_before_their_key_frame(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", "open_gop", frames=160)
    assert _leading(tmp_path / "a.mp4") >= 3


def _leading(path: Path) -> int:
    """How many packets come after a key frame in the file and before it on the screen."""
    key, leading = 0, 0
    for packet in _packets(path):
        key = packet.pts if packet.is_keyframe else key
        leading += packet.pts < key
    return leading


def test_the_variable_variant_has_a_hole_of_more_than_three_seconds(tmp_path: Path) -> None:
    times = [time for _, time in write_numbered(tmp_path / "a.mkv", "variable_mkv", frames=60)]
    steps = {after - before for before, after in itertools.pairwise(times)}
    assert max(steps) > 3
    assert len(steps) > 5


def test_the_edit_list_hides_packets_that_are_in_the_file(tmp_path: Path) -> None:
    shown = write_numbered(tmp_path / "a.mp4", "edit_list", frames=160)
    packets = _packets(tmp_path / "a.mp4")
    assert shown[0] == (75, 0)
    assert len(packets) == len(shown) + 25
    assert sum(packet.is_discard for packet in packets) == 25


@pytest.mark.parametrize(
    ("variant", "start"),
    [("start_mp4", 5), ("start_mkv", 5), ("start_ts", 5), ("plain_ts", Fraction("1.48"))],
)
def test_containers_start_late(tmp_path: Path, variant: str, start: Fraction) -> None:
    path = tmp_path / f"a{VARIANTS[variant].suffix}"
    write_numbered(path, variant, frames=60)
    with av.open(str(path)) as container:
        assert Fraction(container.start_time, av.time_base) == start


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_numbered(tmp_path / name, "constant", frames=60)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_calls_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a \.mp4 file"):
        write_numbered(tmp_path / "a.mkv", "constant", frames=10)
    with pytest.raises(ValueError, match=f"cut at {CUT_S} s"):
        write_numbered(tmp_path / "a.mp4", "edit_list", frames=50)
