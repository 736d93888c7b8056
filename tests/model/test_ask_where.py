"""`ask-video --where` and `--recipe` on a tiny model and a real film."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.ask_video import main
from model.attention_to_time import TimeSpan
from model.recipes import RECIPES
from model.time_bar import attention_per_cell, time_bar
from model.where import Where
from pipeline.sample_videos import sample_script, write_video

SECONDS = 24


@pytest.fixture(scope="module")
def folder(model, processor, tmp_path_factory) -> Path:
    """A model of random weights, and a film."""
    folder = tmp_path_factory.mktemp("where")
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    write_video(sample_script(seed=4, duration_s=SECONDS), folder / "film.mp4")
    return folder


def ask(folder: Path, *arguments: str) -> int:
    return main([str(folder / "film.mp4"), *arguments, "--model", str(folder / "model"), "--device", "cpu",
                 "--max-new-tokens", "6", "--ratio", "4"])


def test_the_bar_goes_to_the_console_and_the_spans_to_standard_output(folder, capsys):
    assert ask(folder, "What?", "--where") == 0
    out = capsys.readouterr()
    assert re.search(r"^[▁▂▃▄▅▆▇█]{20,}$", out.err, re.MULTILINE)
    assert re.search(rf"^0:00 +0:{SECONDS}$", out.err, re.MULTILINE)
    span = r"^\d+:\d\d(\.\d)? to \d+:\d\d(\.\d)? \(\d+ % of the attention to the video\)$"
    assert re.search(span, out.out, re.MULTILINE)


def test_json_says_the_same_from_a_memory_file(folder, tmp_path, capsys):
    memory = ("--memory", str(tmp_path / "film.memory"))
    assert ask(folder, "What?", "--where", "--json", *memory) == 0
    first = capsys.readouterr().out
    assert ask(folder, "What?", "--where", "--json", *memory) == 0  # now from the file
    assert capsys.readouterr().out == first
    said = json.loads(first)
    assert said["question"] == "What?"
    assert 0 < said["text_share"] < 1
    for span in said["spans"]:
        assert 0 <= span["start_s"] < span["end_s"] <= SECONDS
    assert ask(folder, "What?", "--json", *memory) == 0
    assert json.loads(capsys.readouterr().out) == {"question": "What?", "answer": said["answer"]}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_asks_its_own_question_and_says_where(folder, capsys, name):
    assert ask(folder, "--recipe", name, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["question"] == RECIPES[name].question
    spans = said["spans"]
    if RECIPES[name].placing == "lines":
        lines = [line.strip() for line in said["answer"].splitlines() if line.strip()]
        assert [span["line"] for span in spans] == lines
        if spans:
            assert (spans[0]["start_s"], spans[-1]["end_s"]) == (0, SECONDS)
    else:
        assert spans
        assert spans == sorted(spans, key=lambda span: -span["share"])


def test_a_picture_and_a_page_are_drawn(folder, tmp_path, capsys):
    assert ask(folder, "What <b>?", "--where", str(tmp_path / "a.html")) == 0
    page = (tmp_path / "a.html").read_text()
    assert "What &lt;b&gt;?" in page
    assert page.count("data:image/jpeg;base64,") >= 1
    assert ask(folder, "What?", "--where", str(tmp_path / "a.png")) == 0
    with Image.open(tmp_path / "a.png") as picture:
        colours = {tuple(colour) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3).tolist()}
    assert {(11, 110, 99), (165, 207, 196)} <= colours  # a span, and levels
    capsys.readouterr()


@pytest.mark.parametrize(("arguments", "says"), [
    (["What?", "--where", "bar.jpg"], "neither .png nor .html"), (["What?", "--recipe", "anomaly"], "own question"),
    (["--recipe", "song"], "invalid choice")])
def test_wrong_calls_are_refused(folder, arguments, says, capsys):
    with pytest.raises(SystemExit) as caught:
        ask(folder, *arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_the_bar_by_hand():
    found = Where(np.array([0.0, 2, 4, 8]), np.array([0.1, 0.8, 0.1]), 0.5, (TimeSpan(2, 4, 0.8),))
    np.testing.assert_allclose(attention_per_cell(found, 4), [0.1, 0.8, 0.05, 0.05])
    assert time_bar(found, 16) == "▂▂▂▂████▁▁▁▁▁▁▁▁\n    ━━━━\n0:00        0:08"
