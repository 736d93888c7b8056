"""The trained miniature model answers about films that it has not seen."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model import VideoXLForConditionalGeneration, VideoXLProcessor
from model.ask_video import main
from model.evaluation.miniature_films import COLOURS, LOOKS, film_script
from model.evaluation.miniature_films import main as draw_film
from pipeline.sample_videos import draw

FOLDER = Path(__file__).parents[2] / "model" / "miniature"
FILMS = range(4_000_000, 4_000_008)  # none of the grid


@pytest.fixture(scope="module")
def model() -> VideoXLForConditionalGeneration:
    model = VideoXLForConditionalGeneration.from_pretrained(FOLDER).eval()
    model.processor = VideoXLProcessor.from_pretrained(FOLDER)
    return model


def test_needles_in_films_eight_times_longer_than_those_of_its_training(model):
    """A guess among eight colours would be right in one of eight; half is far above that in 40 questions."""
    right = asked = 0
    for seed in FILMS:
        script = film_script(seed, 128)
        frames = [frame for number, frame in enumerate(draw(script)) if number % script.fps == 0]
        memory = model.compress(frames, ratio=16)
        looks = [LOOKS[event.text] for event in script.events]
        times = Counter(shape for _, shape in looks)
        for colour, shape in looks:
            if times[shape] == 1:
                asked += 1
                right += model.answer(memory, f"What colour is the {shape}?") == f"{colour.capitalize()}."
    assert asked == 5 * len(FILMS)
    assert right >= asked / 2


def test_a_black_film_tells_nothing(model):
    memory = model.compress([np.zeros((64, 64, 3), dtype=np.uint8)] * 128, ratio=16)
    answers = [model.answer(memory, f"What colour is the {shape}?") for shape in ("star", "heart", "ring", "cross")]
    assert len(set(answers)) < len(answers)


def test_it_is_asked_as_the_readme_says(tmp_path, capsys):
    film = tmp_path / "miniature.mp4"
    assert draw_film([str(film)]) == 0
    assert "orange star" in film.with_suffix(".jsonl").read_text()
    where = tmp_path / "where.html"
    assert main([str(film), "What colour is the star?", "--model", str(FOLDER), "--ratio", "16",
                 "--where", str(where)]) == 0
    told = capsys.readouterr()
    said = told.out.split("\n")[0]
    assert "model of type" not in told.err  # transformers' warning about a type that it does not know
    assert said.lower().strip(".") in COLOURS
    assert said in where.read_text()


@pytest.mark.parametrize("seconds", ["0", "6", "512"])
def test_a_length_that_no_film_has(seconds, tmp_path, capsys):
    with pytest.raises(SystemExit):
        draw_film([str(tmp_path / "film.mp4"), "--seconds", seconds])
    assert "multiple of 4 up to 160" in capsys.readouterr().err
