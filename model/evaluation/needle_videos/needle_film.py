"""Write a video with needles in it.

The film is sampled at a constant rate and scaled; sound is left out. The same file, plan and sizes give the same bytes
on one machine.
"""

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from model.evaluation.needle_videos.needle_pictures import drawn_over, own_picture
from model.evaluation.needle_videos.needle_plan import NeedlePlan
from pipeline import decode
from pipeline.sample_videos import X264
from schemas.reasons import Reason

_ROUNDING = 1e-6
"""Of a tick: seconds of a frame that falls on a tick are not always exact."""


def write_needle_film(film: Path, facts: decode.VideoFacts, plan: NeedlePlan, out: Path, fps: int, side: int) -> None:
    """Write it; it appears whole or not at all.

    Args:
        film: any video.
        facts: of it.
        plan: what goes into it.
        out: an .mp4 file.
        fps: frames a second of what is written.
        side: the shorter side in pixels; a smaller video stays as it is.

    Raises:
        pipeline.decode.UnreadableVideoError: the film cannot be decoded.
    """
    partial = out.with_name(f".{out.name}.partial")
    width, height = _size(facts, side)
    with av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=X264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = 2 * fps
        for picture in with_needles(_sampled(film, facts, fps, width, height), plan, fps):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    os.replace(partial, out)


def with_needles(pictures: Iterator[np.ndarray], plan: NeedlePlan, fps: int) -> Iterator[np.ndarray]:
    """The pictures of a film with its needles, uint8 [h, w, 3]; an inserted needle makes it longer.

    Args:
        pictures: of the film, `fps` a second.
        plan: what goes into it.
        fps: also of the result.
    """
    inserted = {round(one.start_s * fps): one for one in plan.needles if one.inserted}
    over = [one for one in plan.needles if not one.inserted]
    for tick, picture in enumerate(pictures):
        if tick in inserted:
            needle = inserted[tick]
            still = own_picture(needle.shows, picture.shape[1], picture.shape[0])
            for _ in range(round(needle.lasts_s * fps)):
                yield still
        for needle in over:
            first = round(needle.start_s * fps)
            if first <= tick < first + round(needle.lasts_s * fps):
                picture = drawn_over(picture, needle.shows)
        yield picture


def _size(facts: decode.VideoFacts, side: int) -> tuple[int, int]:
    """Width and height, even, the shorter one at most `side`."""
    scale = min(1.0, side / min(facts.width, facts.height))
    return max(2, round(facts.width * scale / 2) * 2), max(2, round(facts.height * scale / 2) * 2)


def _sampled(film: Path, facts: decode.VideoFacts, fps: int, width: int, height: int) -> Iterator[np.ndarray]:
    """What a player shows at every tick, upright: uint8 [height, width, 3]; damaged frames are not shown."""
    last_tick = math.ceil(facts.duration_s * fps)
    tick, shown = 0, None
    for position, frame in decode.read_frames(str(film), facts, threads=1):
        starts = min(last_tick, math.ceil(facts.to_seconds(int(facts.ticks[position])) * fps - _ROUNDING))
        if shown is not None and tick < starts:
            yield from itertools.repeat(_upright(shown, facts, width, height), starts - tick)
            tick = starts
        shown = frame
    if shown is None:
        raise decode.UnreadableVideoError(Reason.UNREADABLE, "no frame can be decoded")
    yield from itertools.repeat(_upright(shown, facts, width, height), last_tick - tick)


def _upright(frame: av.VideoFrame, facts: decode.VideoFacts, width: int, height: int) -> np.ndarray:
    quarter_turns = facts.rotation // 90
    stored = (height, width) if quarter_turns % 2 else (width, height)
    picture = frame.to_ndarray(format="rgb24", width=stored[0], height=stored[1])
    return np.ascontiguousarray(np.rot90(picture, quarter_turns))
