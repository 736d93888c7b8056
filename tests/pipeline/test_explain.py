"""What would run again, of builds with served models, needles and copies; `tests/flows/test_grow.py` has the rest."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalogue import Catalogue
from pipeline.explain import Explained, Explainer
from pipeline.needles import planted_id
from pipeline.sample_videos import sample_script, write_video
from pipeline.sources import find_sources
from schemas.build_config import BuildConfig
from tests.fault_server import FaultServer
from tests.seeing_server import SeeingModel, needles_of
from tests.stages import run_stages

CHOICES: dict[str, Any] = {
    "captioner": "served", "orderer": "served", "caption_model": "m", "clip_seconds": 4, "caption_frames": 4,
    "picture_questions": 2, "calibrate": 1, "shuffled_share": 0}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film, and the same under another name."""
    folder = tmp_path_factory.mktemp("films")
    write_video(replace(sample_script(seed=5, duration_s=24), width=160, height=90), folder / "film.mp4")
    shutil.copy(folder / "film.mp4", folder / "same.mp4")
    return folder


@pytest.fixture(scope="module")
def out(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages of the film, under both names, and of its copy with needles."""
    out = tmp_path_factory.mktemp("built") / "out"
    with FaultServer(say=SeeingModel(needles_of(films / "film.mp4", 4))) as server:
        for name, planted in (("film.mp4", True), ("film.mp4", False), ("same.mp4", False)):
            run_stages(films / name, out, _config(caption_urls=[server.url]), planted=planted)
    return out


def _config(**other: Any) -> BuildConfig:
    return BuildConfig(**({"caption_urls": ["http://127.0.0.1:9/v1"]} | CHOICES | other))


def _explained(films: Path, out: Path, **other: Any) -> list[Explained]:
    explainer = Explainer(_config(**other), out, Catalogue({}, {}, frozenset()))
    return list(explainer.explain(find_sources([str(films)])))


def test_what_models_said_is_not_asked_again_and_a_second_name_is_no_second_video(films: Path, out: Path) -> None:
    assert _explained(films, out) == [
        Explained("film.mp4", {}), Explained("same.mp4", {}, "the same file as film.mp4")]


@pytest.mark.parametrize(("other", "stage", "why"), [
    ({"caption_model": "m2", "order_model": "m"}, "captions", "what the captioner goes by: m2, was m"),
    ({"picture_questions": 0}, "clues", "what the picture check goes by changed"),
    ({"picture_questions": 1}, "clues", "what the picture check goes by: 1, was 2"),
    ({"blind": "built-in"}, "questions", "blind is None, was served; what the blind check goes by changed"),
])
def test_a_choice_of_models_is_named(
    films: Path, out: Path, other: dict[str, Any], stage: str, why: str
) -> None:
    told, _ = _explained(films, out, **other)
    assert next(iter(told.would_run.items())) == (stage, why)
    assert told.would_run[f"{stage} of the copy with needles"] == why


def test_of_the_copy_with_needles_is_told_apart(films: Path, out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    video_id = next((out / ".work" / "probe").glob("*/id")).read_text()
    for path in (tmp_path / "out" / ".work" / "captions").glob("*/inputs.json"):
        if planted_id(video_id, 0) in path.read_text():
            shutil.rmtree(path.parent)
    told, *_ = _explained(films, tmp_path / "out")
    assert told.would_run == {
        "captions of the copy with needles": "it was not made yet",
        "clues of the copy with needles": "it follows from captions",
        "questions of the copy with needles": "it follows from captions"}
