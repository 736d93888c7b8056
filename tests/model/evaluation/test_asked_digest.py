"""What is asked has one name: it survives a move and nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from model.evaluation.asked_digest import asked_digest
from model.evaluation.evaluate import group_looks
from model.evaluation.question import Question, Subtitle
from model.evaluation.tasks import all_tasks
from model.evaluation.viewing import FrameFolder, Still, StillInFile, VideoStretch
from tests.model.evaluation.official_sets import OfficialSets


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "film.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a film")
    return path


def digest(*questions: Question) -> str:
    return asked_digest(group_looks(questions))


def about(viewing: object) -> str:
    return digest(Question("q", viewing, "What?", "letter", "A", ("red", "blue")))


@pytest.mark.parametrize("change", [
    {"question_id": "r"}, {"prompt": "When?"}, {"options": ("blue", "red")}, {"answer": "B"}, {"prefill": "("},
    {"system": "Look."}, {"subtitles": (Subtitle(0.0, 1.0, "Hello"),)}, {"attributes": {"kind": "b"}}])
def test_another_question_has_another_name(film: Path, change: dict) -> None:
    question = Question("q", VideoStretch(film), "What?", "letter", "A", ("red", "blue"), attributes={"kind": "a"})
    assert digest(question) == digest(replace(question, answer="A"))
    assert digest(question) != digest(replace(question, **change))
    assert digest(question) != digest(question, replace(question, question_id="r"))


def test_another_stretch_or_file_has_another_name(film: Path) -> None:
    usual = about(VideoStretch(film))
    other = film.with_name("other.mp4")
    shutil.copyfile(film, other)
    assert len({usual, about(VideoStretch(film, 1.0)), about(VideoStretch(film, 0.0, 1.0)), about(VideoStretch(other)),
                about(Still(film, "film.mp4")), about(Still(film, "other"))}) == 6
    film.write_bytes(b"a longer film")
    assert about(VideoStretch(film)) != usual


def test_a_frame_more_or_a_larger_one_has_another_name(tmp_path: Path) -> None:
    folder = tmp_path / "film"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"one")
    names = [about(FrameFolder(folder, 3.0))]
    (folder / "2.jpg").write_bytes(b"two")
    names.append(about(FrameFolder(folder, 3.0)))
    (folder / "2.jpg").write_bytes(b"three")
    names.append(about(FrameFolder(folder, 3.0)))
    assert len(set(names)) == 3
    shutil.copytree(folder, tmp_path / "elsewhere" / "film")
    assert about(FrameFolder(tmp_path / "elsewhere" / "film", 3.0)) == names[2]


def test_a_picture_in_the_file_of_the_questions_counts_by_its_bytes() -> None:
    assert about(StillInFile("1", b"ab")) == about(StillInFile("1", b"ab")) != about(StillInFile("1", b"ba"))


@pytest.mark.parametrize("name", ["mlvu-dev", "vnbench", "mmbench"])
def test_a_benchmark_that_was_moved_keeps_its_name(tmp_path: Path, name: str) -> None:
    sets = OfficialSets(tmp_path / "data")
    sets.mlvu_dev()
    sets.vnbench()
    sets.mmbench()

    def asked(data: Path) -> str:
        return asked_digest(group_looks(all_tasks()[name].questions(data)))

    before = asked(sets.data)
    assert asked(shutil.move(sets.data, tmp_path / "elsewhere")) == before
