"""Sample videos: their script is the whole truth, the same every time, and what is drawn is what it says."""

import bisect
import itertools
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.sample_videos import (
    ACTIONS,
    BACKDROPS,
    COLOURS,
    FILLS,
    PATTERNS,
    RETURN_AFTER,
    RETURN_EVERY,
    SHAPES,
    SIZES,
    WORDS,
    Event,
    Scene,
    Script,
    Shape,
    Word,
    backdrop_pairs,
    draw,
    main,
    sample_script,
    stands_out,
    write_captions,
    write_video,
)

CLIP_S = 14
SEEDS = range(25)


def _scene_of(script: Script, event: Event) -> Scene:
    return next(scene for scene in script.scenes if scene.start_s <= event.start_s < scene.end_s)


def _returned(script: Script) -> set[str]:
    """Texts of the events that are shown more than once."""
    return {text for text, count in Counter(event.text for event in script.events).items() if count > 1}


def _frames(script: Script, start_s: float, end_s: float) -> np.ndarray:
    """The frames in this stretch, drawn small."""
    small = replace(script, width=160, height=90)
    first, last = (round(second * script.fps) for second in (start_s, end_s))
    return np.stack(list(itertools.islice(draw(small), first, last)))


def test_the_same_seed_writes_the_same_script() -> None:
    assert sample_script(7) == sample_script(7)
    assert sample_script(7) != sample_script(8)


@pytest.mark.parametrize("duration_s", [6, 13.3, 60, 180, 1000])
def test_scenes_follow_each_other_and_hold_their_events(duration_s: float) -> None:
    for seed in SEEDS:
        script = sample_script(seed, duration_s)
        edges = [0.0, *(scene.end_s for scene in script.scenes)]
        assert [scene.start_s for scene in script.scenes] == edges[:-1]
        assert edges[-1] == script.duration_s == duration_s
        for before, after in itertools.pairwise(script.events):
            assert after.start_s - before.end_s >= 1
        for event in script.events:
            scene = _scene_of(script, event)
            assert scene.start_s < event.start_s < event.end_s < scene.end_s
            assert 4 <= event.end_s - event.start_s <= 6


@pytest.mark.parametrize("duration_s", [70, 111, 128, 180, 600])
def test_every_clip_holds_an_event(duration_s: int) -> None:
    for seed in SEEDS:
        events = sample_script(seed, duration_s).events
        assert duration_s / 8 < len(events) < duration_s / 6
        for start_s in range(0, duration_s - 1, CLIP_S):
            end_s = min(start_s + CLIP_S, duration_s)
            whole = [event for event in events if start_s <= event.start_s and event.end_s <= end_s]
            assert whole or end_s - start_s < CLIP_S
        if duration_s == 180:
            assert max(event.end_s for event in events) > 172, "the last clip, of 12 seconds, has most of one"


def test_three_minutes_show_one_scene_twice_and_all_else_once() -> None:
    for seed in SEEDS:
        script = sample_script(seed, 180)
        first, again = script.scenes[RETURN_EVERY - 2 - RETURN_AFTER], script.scenes[RETURN_EVERY - 2]
        assert Counter(scene.name for scene in script.scenes).most_common(2)[1][1] == 1
        assert first.name == again.name
        assert _returned(script) == {e.text for e in script.events if _scene_of(script, e) == first}
        assert _returned(script)
        assert max(Counter(event.text for event in script.events).values()) == 2


def test_a_scene_that_returns_shows_the_same_pixels() -> None:
    script = sample_script(0, 180)
    first, again = script.scenes[RETURN_EVERY - 2 - RETURN_AFTER], script.scenes[RETURN_EVERY - 2]
    assert np.array_equal(
        _frames(script, first.start_s, first.end_s),
        _frames(script, again.start_s, again.start_s + first.end_s - first.start_s),
    )


def test_sentences_of_three_minutes_share_few_words() -> None:
    """Two events may share their background and a word or two, never who does what."""
    common = {"a", "the", "word", "letters", "in", "over", "and", "to", "from", "out", "on", "above"}
    for seed in SEEDS:
        script = sample_script(seed, 180)
        once = [e for e in script.events if e.text not in _returned(script)]
        words = [set(e.text.rstrip(".").split()) - common for e in once]
        likest = max(len(a & b) / len(a | b) for a, b in itertools.combinations(words, 2))
        assert likest <= 0.5
        casts = {(getattr(e.subject, "name", None) or e.subject.letters) for e in once}
        assert len(casts) >= 0.9 * len(once)


def test_sentences_tell_no_order_and_no_time() -> None:
    order = {"then", "finally", "again", "first", "next", "last", "before", "after"}
    for text in (event.text for event in sample_script(1, 1800).events):
        assert not set(text.lower().rstrip(".").split()) & order
        assert not any(letter.isdigit() for letter in text)


def test_hours_stay_unique_and_are_scripted_at_once() -> None:
    began = time.process_time()
    script = sample_script(3, 3 * 3600)
    assert time.process_time() - began < 5
    assert 1500 < len(script.events) < 1800
    copies = {i for i in range(len(script.scenes)) if i % RETURN_EVERY == RETURN_EVERY - 2}
    copied = {i - RETURN_AFTER for i in copies}
    starts = [scene.start_s for scene in script.scenes]
    casts, sights, words = Counter(), Counter(), Counter()
    for event in script.events:
        at = bisect.bisect_right(starts, event.start_s) - 1
        if at in copies:
            continue
        casts[event.subject, event.action] += 1
        if isinstance(event.subject, Word):
            words[event.subject.letters] += 1
        else:
            sights[event.subject.name, event.subject.colour, event.action, script.scenes[at].name] += 1
    assert set(casts.values()) == set(sights.values()) == set(words.values()) == {1}
    assert len({(shape, colour, action) for shape, colour, action, _ in sights}) > 0.98 * len(sights)
    once = Counter(scene.name for i, scene in enumerate(script.scenes) if i not in copies | copied)
    assert once.most_common(1)[0][1] == 1


def test_a_longer_video_begins_like_a_shorter_one() -> None:
    short, long = sample_script(5, 60), sample_script(5, 3600)
    assert long.events[: len(short.events) - 2] == short.events[:-2]


@pytest.mark.parametrize("duration_s", [5.9, 0, -1, float("nan")])
def test_a_script_too_short_is_refused(duration_s: float) -> None:
    with pytest.raises(ValueError, match="at least 6 seconds"):
        sample_script(0, duration_s)


def test_frames_are_drawn_lazily_and_as_many_as_promised() -> None:
    script = sample_script(0, 36_000)
    frame = next(draw(script))
    assert frame.shape == (360, 640, 3)
    assert frame.dtype == np.uint8
    short = replace(sample_script(2, 30), width=160, height=90)
    assert sum(1 for _ in draw(short)) == 30 * short.fps


def test_something_is_seen_during_events_and_nothing_between_them() -> None:
    script = sample_script(4, 60)
    frames = _frames(script, 0, 60).astype(int)
    for scene in script.scenes:
        first, last = round(scene.start_s * script.fps), round(scene.end_s * script.fps)
        empty = np.abs(frames[first:last] - frames[first]).max(axis=(1, 2, 3)) == 0
        inside = np.zeros(last - first, dtype=bool)
        for event in script.events:
            if scene.start_s <= event.start_s < scene.end_s:
                start, end = (round(s * script.fps) - first for s in (event.start_s, event.end_s))
                inside[start:end] = True
                assert (~empty[start:end]).mean() > 0.5
        assert empty[~inside].all()


def _single(subject: Shape | Word, action: str, colours: tuple[str, str]) -> np.ndarray:
    """The frames of one event of a second, before a plain background."""
    scene = Scene(0, 1, "", "{} and {} bars", colours, 0)
    event = Event(0, 1, "", subject, action)
    return np.stack(list(draw(Script(1, 320, 180, 12, (scene,), (event,)))))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_shows_its_colour_and_stays_in_the_picture(shape: str) -> None:
    for fill, size in itertools.product(FILLS, SIZES):
        frames = _single(Shape(shape, "red", size, fill), "throbs", ("navy", "navy"))
        red = frames[6][..., 0].astype(int) - frames[6][..., 1:].max(axis=2) > 60
        assert red.mean() > 0.004
        edges = np.concatenate([frames[6][[0, -1]].reshape(-1, 3), frames[6][:, [0, -1]].reshape(-1, 3)])
        assert np.abs(edges.astype(int) - BACKDROPS["navy"]).max() < 30


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_changes_the_picture_and_keeps_subjects_whole(action: str) -> None:
    word_too = [Word("UMBRELLA", "yellow")] if action not in ("spins in place", "topples over") else []
    for subject in (Shape("star", "yellow", "large", "plain"), *word_too):
        frames = _single(subject, action, ("navy", "navy")).astype(int)
        assert (np.abs(np.diff(frames, axis=0)).max(axis=(1, 2, 3)) > 20).sum() >= 3
        bright = frames[:, :, :, 0].max(axis=0) > 120
        assert not bright[[0, -1]].any()
        assert not bright[:, [0, -1]].any()


def test_moving_right_moves_right() -> None:
    frames = _single(Shape("circle", "red", "small", "plain"), "moves from left to right", ("navy", "navy"))
    centres = [np.nonzero(frame[:, :, 0] > 150)[1].mean() for frame in frames[2:-2]]
    assert centres == sorted(centres)
    assert centres[0] < 110
    assert centres[-1] > 210


def test_every_background_leaves_enough_colours_to_stand_out() -> None:
    assert len(backdrop_pairs()) * len(PATTERNS) > 500
    assert min(sum(stands_out(colour, pair) for colour in COLOURS) for pair in backdrop_pairs()) > 4
    assert len(set(WORDS)) == len(WORDS)


def test_the_file_holds_the_frames_and_is_the_same_each_time(tmp_path: Path) -> None:
    script = sample_script(0, 20)
    for name in ("a.mp4", "b.mp4"):
        write_video(script, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (640, 360, 24)
        keys, times, worst = [], [], 0.0
        for frame, drawn in zip(container.decode(stream), draw(script), strict=True):
            times.append(frame.pts * frame.time_base)
            keys += [times[-1]] if frame.key_frame else []
            worst = max(worst, np.abs(frame.to_ndarray(format="rgb24").astype(float) - drawn).mean())
    assert [time * 24 for time in times] == list(range(480))
    assert max(after - before for before, after in itertools.pairwise(keys)) <= 2
    assert worst < 8


def test_captions_are_the_script(tmp_path: Path) -> None:
    script = sample_script(0, 60)
    write_captions(script, tmp_path / "a.jsonl", "film.mp4")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    events = [(e.start_s, e.end_s, e.text) for e in script.events]
    assert [(x["start_s"], x["end_s"], x["text"]) for x in lines if x["kind"] == "event"] == events
    assert sum(x["kind"] == "caption" for x in lines) == len(script.scenes)
    assert {x["video"] for x in lines} == {"film.mp4"}
    assert [x["start_s"] for x in lines] == sorted(x["start_s"] for x in lines)


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    main([str(tmp_path / "film.mp4"), "--seed", "3", "--duration", "7"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.jsonl", "film.mp4"]
