"""The command, on a tiny model and a reader that makes its own pictures."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from model import ask_video
from model.ask_video import check_positions_fit, frame_times, main, positions_needed


@pytest.fixture
def folder(model, processor, tmp_path):
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def film(tmp_path, monkeypatch):
    """A file, and a reader that knows how long it is and counts what is asked of it."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    asked = []

    def pick_frames(name, facts, times_s):
        asked.append(list(times_s))
        for time_s in times_s:
            yield time_s, np.full((40, 60, 3), int(time_s * 10) % 255, np.uint8)

    monkeypatch.setattr(ask_video.decode, "read_facts", lambda name: SimpleNamespace(duration_s=20.0))
    monkeypatch.setattr(ask_video.decode, "pick_frames", pick_frames)
    return SimpleNamespace(path=path, asked=asked)


def run(film, folder, *arguments: str) -> int:
    return main([str(film.path), *arguments, "--model", str(folder), "--device", "cpu", "--max-new-tokens", "5"])


def test_a_question_is_answered(film, folder, capsys):
    assert run(film, folder, "What?") == 0
    out = capsys.readouterr()
    assert "20 frames" in out.err
    assert "first token after" in out.err
    assert film.asked == [list(range(20))]
    assert "frames" not in out.out


def test_questions_are_asked_until_an_empty_line(film, folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one?\ntwo?\n\nthree?\n"))
    assert run(film, folder) == 0
    assert capsys.readouterr().err.count("first token") == 2
    assert len(film.asked) == 1


def test_a_memory_file_is_made_and_used(film, folder, tmp_path, capsys):
    memory = tmp_path / "film.memory"
    assert run(film, folder, "What?", "--memory", str(memory)) == 0
    first = capsys.readouterr().out
    assert run(film, folder, "What?", "--memory", str(memory)) == 0
    assert capsys.readouterr().out == first
    assert len(film.asked) == 1
    for other in (["--ratio", "2"], ["--frames", "20"]):
        assert run(film, folder, "What?", "--memory", str(memory), *other) == 2
        assert "name another file" in " ".join(capsys.readouterr().err.split())
    assert len(film.asked) == 1


def test_too_many_positions_stop_the_call_with_what_would_fit(film, folder, capsys):
    """512 positions, four tokens a frame."""
    assert run(film, folder, "What?", "--frames", "600", "--ratio", "4") == 2
    message = capsys.readouterr().err.replace("\n", " ")
    assert "--ratio 8" in message
    assert "--positions yarn" in message
    assert not film.asked


@pytest.mark.parametrize("asked_at_once", [True, False])
def test_a_question_that_is_too_long_stops_the_call(film, folder, capsys, monkeypatch, asked_at_once):
    words = "what " * 600
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{words}\n"))
    assert run(film, folder, *([words] if asked_at_once else [])) == 2
    assert "but the model has 512" in " ".join(capsys.readouterr().err.split())
    assert len(film.asked) == (not asked_at_once), "what is known at once is said before watching"


def test_marks_in_a_question_are_words(film, folder, capsys):
    assert run(film, folder, "What does the <video> tag do, and <image>?") == 0


def test_every_remedy_works(model):
    config = model.config
    for frames, ratio in ((600, 4), (5000, 2), (3000, 16)):
        with pytest.raises(ask_video.CannotAskError) as caught:
            check_positions_fit(config, frames, ratio, "published", 60)
        for remedy in str(caught.value).split("try ")[1].split(" or "):
            words = remedy.split()
            said = dict(zip(words[::2], words[1::2], strict=True))
            check_positions_fit(
                config,
                int(said.get("--frames", frames)),
                int(said.get("--ratio", ratio)),
                said.get("--positions", "published"),
                60,
            )


def test_published_positions():
    """2,048 frames at ratio 16 fit in 32,768 positions; at ratio 8 they do not."""
    from model.configuration import VideoXLConfig

    config = VideoXLConfig(text_config={"max_position_embeddings": 32768, "vocab_size": 1000})
    assert positions_needed(config, 2048, 16, 14) <= 32768 < positions_needed(config, 2048, 8, 14)


def test_frame_times():
    assert frame_times(3.5, 1.0, None).tolist() == [0, 1, 2, 3]
    assert frame_times(3.0, 2.0, None).tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert frame_times(0.0, 1.0, None).tolist() == [0]
    times = frame_times(10.0, None, 5)
    assert times[0] == 0
    assert 9.9 < times[-1] < 10
    assert np.allclose(np.diff(times), times[1])


@pytest.mark.parametrize(
    "arguments", [["--fps", "0"], ["--frames", "0"], ["--fps", "1", "--frames", "2"], ["--max-new-tokens", "0"]]
)
def test_wrong_calls_are_refused(film, folder, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main([str(film.path), "What?", "--model", str(folder), *arguments])
    assert caught.value.code == 2


@pytest.mark.parametrize("flag", ["--memory", "--where"])
def test_a_folder_to_write_into_must_be_there_before_the_video_is_watched(film, folder, tmp_path, flag, capsys):
    with pytest.raises(SystemExit):
        run(film, folder, "What?", flag, str(tmp_path / "none" / "film.html"))
    assert "no folder" in capsys.readouterr().err
    assert not film.asked


def test_missing_things_are_named(film, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("VIDEO_XL_MODEL", raising=False)
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none.mp4"), "What?", "--model", str(folder)])
    assert "no video" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(film.path), "What?"])
    assert "VIDEO_XL_MODEL" in capsys.readouterr().err
    assert main([str(film.path), "What?", "--model", str(tmp_path)]) == 2
    assert "model.convert" in capsys.readouterr().err.replace("\n", " ")
    assert run(film, folder, "What?", "--ratio", "3") == 2
    assert "not one of" in capsys.readouterr().err


def test_a_real_film_is_read(folder, tmp_path, capsys):
    from pipeline.sample_videos import sample_script, write_video

    path = tmp_path / "sample.mp4"
    write_video(sample_script(seed=1, duration_s=30), path)
    arguments = [str(path), "What?", "--model", str(folder), "--device", "cpu", "--max-new-tokens", "3"]
    assert main([*arguments, "--frames", "9"]) == 0
    assert "9 frames" in capsys.readouterr().err
    (tmp_path / "text.mp4").write_text("no film")
    assert main([str(tmp_path / "text.mp4"), *arguments[1:]]) == 2
    assert capsys.readouterr().err
