"""Videos with needles in them: where they lie, what the film keeps, what is asked."""

import json
import math
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random

import imageio_ffmpeg
import numpy as np
import pytest
from fake_answerers import always_a, cheat
from hypothesis import given, settings
from hypothesis import strategies as st

from model.evaluation.answer_files import AnswerFiles
from model.evaluation.evaluate import evaluate, group_looks
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.needle_videos.make import QUESTIONS, main
from model.evaluation.needle_videos.needle_film import with_needles
from model.evaluation.needle_videos.needle_pictures import drawn_over, own_picture
from model.evaluation.needle_videos.needle_plan import (
    KINDS,
    LETTERS,
    Caption,
    LargeWord,
    NeedlePlan,
    PlacedNeedle,
    Shapes,
    TooShortError,
    plan_needles,
    tries,
)
from model.evaluation.tasks import all_tasks
from pipeline import decode
from tests.numbered_videos import Shown, read_number, write_numbered

SEEDS, KIND = st.integers(0, 9999), st.sampled_from(sorted(KINDS))


@given(KIND, SEEDS, st.floats(30, 20000), st.sampled_from([0.5, 1.0, 3.0]))
def test_needles_lie_apart_and_inside(kind, seed, duration_s, lasts_s):
    plan = plan_needles(kind, duration_s, lasts_s, Random(seed))
    starts = [needle.start_s for needle in plan.needles]
    assert starts[0] >= 1
    assert starts[-1] + lasts_s <= duration_s - 1
    assert all(before + lasts_s + 0.99 <= after for before, after in pairwise(starts))
    assert plan == plan_needles(kind, duration_s, lasts_s, Random(seed))
    times = plan.needle_times()
    assert all(before + lasts_s < after for before, after in pairwise(times))
    later = (len(times) - 1) * lasts_s if "insert" in kind else 0
    assert times[-1] == pytest.approx(starts[-1] + later, abs=1e-3)


@given(KIND, SEEDS)
def test_the_answer_is_what_is_shown(kind, seed):
    plan = plan_needles(kind, 60, 1.0, Random(seed))
    shown = [needle.shows for needle in plan.needles]
    names = [one.text.split()[-1] if isinstance(one, Caption) else one.letters.lower() if isinstance(one, LargeWord)
             else one.colour if kind == "ord_insert2" else one.shape for one in shown]
    total = sum(getattr(one, "count", 1) for one in shown)
    expected = str(total) if kind.startswith("cnt") else ", ".join(names)
    assert plan.right == expected
    assert len({plan.right, *plan.wrong}) == 4
    if kind.startswith("ord"):
        assert {frozenset(option.split(", ")) for option in (plan.right, *plan.wrong)} == {frozenset(names)}
    if kind.startswith("cnt") and kind != "cnt_edit1":
        assert len({one.shape for one in shown}) == 1
        assert shown[0].shape in plan.question


@given(KIND, SEEDS)
def test_in_four_tries_the_right_option_stands_everywhere(kind, seed):
    plan = plan_needles(kind, 60, 1.0, Random(seed))
    orders = tries(plan, Random(seed))
    assert sorted(options.index(plan.right) for options in orders) == [0, 1, 2, 3]
    assert all(set(options) == {plan.right, *plan.wrong} for options in orders)


def test_a_short_film_is_refused_with_the_length_it_needs():
    with pytest.raises(TooShortError, match="4 needles need a video of 10 seconds"):
        plan_needles("ord_edit1", 9.9, 1.0, Random(0))
    plan_needles("ord_edit1", 10, 1.0, Random(0))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 19), st.booleans()), max_size=4, unique_by=lambda pair: pair[0]))
def test_a_film_keeps_all_its_pictures(placed):
    """Inserted pictures come between them, the others change no more than they cover."""
    film = [np.full((36, 64, 3), tick, np.uint8) for tick in range(20)]
    needles = tuple(PlacedNeedle(tick / 4, 0.5, inserted, Shapes("star", "red")) for tick, inserted in sorted(placed))
    plan = NeedlePlan("", needles, "", "", ("", "", ""))
    out = list(with_needles(iter(film), plan, 4))
    assert len(out) == 20 + 2 * sum(inserted for _, inserted in placed)
    still = own_picture(Shapes("star", "red"), 64, 36)
    kept = [picture for picture in out if not np.array_equal(picture, still)]
    assert [int(picture[0, 0, 0]) for picture in kept] == list(range(20))
    covered = {tick + step for tick, inserted in placed if not inserted for step in (0, 1)}
    assert [bool((picture != film[tick]).any()) for tick, picture in enumerate(kept)] == [
        tick in covered for tick in range(20)]


@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (336, 336)])
@pytest.mark.parametrize("shows", [Caption("The secret word is Ursula"), Shapes("cross", "red", 4)], ids=["words", "4"])
def test_what_is_drawn_over_a_frame_lies_in_the_square_a_model_sees(shows, width, height):
    frame = np.full((height, width, 3), 7, np.uint8)
    changed = (drawn_over(frame, shows) != 7).any(2)
    rows, columns = np.nonzero(changed)
    side = min(width, height)
    assert changed.any()
    assert (height - side) / 2 <= rows.min()
    assert rows.max() < (height + side) / 2
    assert (width - side) / 2 <= columns.min()
    assert columns.max() < (width + side) / 2
    assert (frame == 7).all()


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> tuple[Path, list[Shown]]:
    """A film of variable rate, with a hole of 3.5 seconds."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return path, write_numbered(path, "variable_mp4", 250, 320, 180)


@pytest.fixture
def film(numbered) -> Path:
    return numbered[0]


def test_a_written_film_shows_the_film_and_the_needle_where_it_says(numbered, tmp_path):
    """Held against what was written: the number of the frame that a player shows at that time."""
    film, shown = numbered
    facts = decode.read_facts(str(film))
    arguments = [str(film), "--out", str(tmp_path), "--kinds", "ord_insert1", "--kinds", "ret_edit1", "--side", "120"]
    assert main(arguments) == 0
    rows = {row["type"]: row for row in json.loads((tmp_path / "VNBench" / QUESTIONS).read_text())}
    for kind, row in rows.items():
        path = tmp_path / "VNBench" / row["video"]
        made = decode.read_facts(str(path))
        inserted = 4 if kind == "ord_insert1" else 0
        assert (made.height, made.duration_s) == (120, pytest.approx(facts.duration_s + inserted, abs=0.126))
        assert row["length"] == pytest.approx(facts.duration_s + inserted, abs=1e-3)
        ticks = range(int(made.duration_s * 8))
        numbers = [read_number(picture) for _, picture in
                   decode.pick_frames(str(path), made, [tick / 8 + 0.01 for tick in ticks])]
        expected: list[int | None] = [
            max(frame.number for frame in shown if frame.time <= Fraction(tick, 8))
            for tick in range(math.ceil(facts.duration_s * 8))]
        for time_s in row["needle_time"] if inserted else ():
            tick = round(time_s * 8)
            expected[tick:tick] = [None] * 8
        assert numbers == expected


def test_the_command_goes_on_and_gives_the_same_bytes(film, tmp_path, capsys):
    arguments = [str(film), "--kinds", "cnt_insert1", "--kinds", "ret_insert2", "--each", "2", "--fps", "4", "--side",
                 "64"]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    one = {path.name: path.read_bytes() for path in (tmp_path / "one" / "VNBench").iterdir()}
    assert len(one) == 2 * 2 + 2
    rows = json.loads(one[QUESTIONS])
    assert len(rows) == 2 * 2 * 4
    assert set(rows[0]) == {"video", "question", "options", "gt", "gt_option", "needle_time", "length", "type", "try"}
    assert all(row["options"][LETTERS.index(row["gt_option"])] == row["gt"] for row in rows)
    assert {row["video"] for row in rows} == {name for name in one if name.endswith(".mp4")}
    (tmp_path / "one" / "VNBench" / "film_ret_insert2.mp4").unlink()
    before = (tmp_path / "one" / "VNBench" / "film_cnt_insert1.mp4").stat().st_mtime_ns
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "one" / "VNBench").iterdir()} == one
    assert (tmp_path / "one" / "VNBench" / "film_cnt_insert1.mp4").stat().st_mtime_ns == before
    assert main([*arguments, "--out", str(tmp_path / "one"), "--seed", "1"]) == 2
    assert "name another folder" in capsys.readouterr().err


def test_wrong_calls_and_films_that_cannot_be_used(film, tmp_path, capsys):
    assert main([str(film), "--out", str(tmp_path), "--kinds", "ret_smell"]) == 2
    assert "ret_edit1" in capsys.readouterr().err
    assert main([str(film), "--out", str(tmp_path), "--needle-seconds", "0.05"]) == 2
    assert "in no frame at 8 a second" in capsys.readouterr().err
    assert main([str(tmp_path / "none.mp4"), "--out", str(tmp_path)]) == 2
    assert "no file" in capsys.readouterr().err
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 99)
    assert main([str(broken), "--out", str(tmp_path)]) == 3
    assert "broken.mp4" in capsys.readouterr().err
    slow = ["--kinds", "ord_edit1", "--needle-seconds", "30"]
    assert main([str(film), "--out", str(tmp_path / "slow"), *slow]) == 3
    assert "4 needles need a video of 126 seconds" in capsys.readouterr().err


def test_a_film_that_was_turned_stands_upright(film, tmp_path):
    turned = tmp_path / "turned.mp4"
    turn = ["-v", "error", "-display_rotation", "90", "-i", str(film), "-c", "copy", str(turned)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *turn], check=True)
    assert main([str(turned), "--out", str(tmp_path), "--kinds", "ret_insert1"]) == 0
    shown = []
    for path in (turned, tmp_path / "VNBench" / "turned_ret_insert1.mp4"):
        facts = decode.read_facts(str(path))
        assert (facts.width, facts.height) == (180, 320)
        shown += [picture.astype(int) for _, picture in decode.pick_frames(str(path), facts, [0.0])]
    assert np.abs(shown[0] - shown[1]).mean() < 6


def test_the_harness_reads_what_was_made(film, tmp_path):
    """Who knows the answers has all four tries right; who always says A has one in four, and no sample."""
    task = all_tasks()["vnbench"]
    assert main([str(film), "--out", str(tmp_path), "--fps", "4", "--side", "64"]) == 0
    questions = task.questions(tmp_path)
    assert len(questions) == len(KINDS) * 4
    assert {question.attributes["type"] for question in questions} == set(KINDS)
    overall = {}
    for name, answerer in (("cheat", cheat()), ("always A", always_a())):
        files = AnswerFiles(tmp_path / name)
        with files.writing({}):
            evaluate(task, group_looks(questions), answerer, FramePolicy(1000, fps=1), files)
        figures = {figure.name: figure.estimate.mean for figure in task.figures(list(files.read().values()))}
        overall[name] = figures["overall"], figures["single tries"]
    assert overall == {"cheat": (1.0, 1.0), "always A": (0.0, 0.25)}
    assert len(answerer.looks) == len(KINDS)  # four tries behind one look
