"""Films whose truth is known: what is said is what is seen."""

import itertools
from collections import Counter

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.evaluation.miniature_films import BLOCK_CLIPS, CLIP_S, FPS, LOOKS, empty_film_script, film_script
from pipeline.picture_hash import ALIKE_BITS, bit_distances, picture_hash
from pipeline.sample_videos import COLOURS, draw, write_video
from pipeline.small_pictures import LOOK_WIDTH, small_yuv

SEEDS = st.integers(0, 2**31)


@given(SEEDS, st.sampled_from([16, 64, 128]))
@settings(max_examples=40)
def test_events_are_as_dense_in_long_films_and_never_come_twice(seed, seconds):
    script = film_script(seed, seconds)
    looks = [LOOKS[event.text] for event in script.events]
    assert len(set(looks)) == len(looks)
    blocks = itertools.groupby(
        zip(script.events, looks, strict=True), key=lambda pair: int(pair[0].start_s / CLIP_S) // BLOCK_CLIPS)
    sizes = []
    for _, block in blocks:
        colours, shapes = zip(*(look for _, look in block), strict=True)
        assert len(set(colours)) == len(colours)
        assert len(set(shapes)) == len(shapes)
        sizes.append(len(shapes))
    assert len(sizes) == seconds // CLIP_S // BLOCK_CLIPS
    assert set(sizes) == {BLOCK_CLIPS}
    assert [int(event.start_s) // CLIP_S for event in script.events] == list(range(seconds // CLIP_S))
    assert all(event.end_s <= (number + 1) * CLIP_S for number, event in enumerate(script.events))
    if seconds == 128:
        assert sum(count == 1 for count in Counter(shape for _, shape in looks).values()) >= 5


@pytest.mark.parametrize("seed", range(3))
def test_a_colour_is_seen_when_it_is_told(seed):
    script = film_script(seed, 32)
    frames = list(draw(script))
    for event in script.events:
        colour, _ = LOOKS[event.text]
        for second in range(int(event.start_s), int(event.end_s)):  # one frame a second is stored
            shown = frames[second * script.fps].astype(int)
            near = np.linalg.norm(shown - np.array(COLOURS[colour]), axis=2) < 12
            assert near.mean() > 0.02


def test_the_same_seed_gives_the_same_film():
    assert film_script(5, 64) == film_script(5, 64)
    assert film_script(5, 64) != film_script(6, 64)


def test_a_film_of_backgrounds_alone_has_any_length():
    script = empty_film_script(3, 512)
    assert (script.events, len(script.scenes), script.scenes[-1].end_s) == ((), 512 // CLIP_S, 512)


@pytest.mark.parametrize("seed", range(2))
def test_clips_drawn_apart_return_less_often(seed, tmp_path):
    returning = {}
    for apart in (False, True):
        film = tmp_path / f"{apart}.mp4"
        write_video(film_script(seed, 128, apart), film)
        returning[apart] = clips_seen_again(film)
    assert returning[True] <= returning[False] / 2


def clips_seen_again(film):
    """Of how many clips a second or more comes again in other clips, as `build-vico` sees them."""
    with av.open(film) as container:
        hashes = [picture_hash(small_yuv(frame, LOOK_WIDTH)[..., 0]) for frame in container.decode(video=0)]
    clips = np.array(hashes, dtype=np.int64).reshape(-1, CLIP_S * FPS)
    alike = (bit_distances(clip, np.delete(clips, at, axis=0).ravel()) <= ALIKE_BITS for at, clip in enumerate(clips))
    return sum(int(pictures.any(axis=1).sum()) >= FPS for pictures in alike)
