"""Answers that several machines see: what a product says and what is stored belong together, whoever came late."""

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.captions import make_captioner
from pipeline.journal import GatheredJournal
from pipeline.killable_worker import WorkerPool
from pipeline.sample_videos import sample_script, write_video
from pipeline.served_models import ServedModels
from pipeline.shared_files import FolderFiles
from pipeline.video_stages import Workshop, caption, decode, identify_source
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.records import Source
from tests.fault_server import FaultServer, right_answer


class Machine:
    """A worker on a machine of its own; the work store is everybody's."""

    def __init__(self, own: Path, out: Path, config: BuildConfig, running: ExitStack) -> None:
        shared = FolderFiles(out / ".work" / "answers")
        models = running.enter_context(ServedModels(config, own, shared=shared))
        workers = running.enter_context(WorkerPool(1))
        self.shop = Workshop(config, WorkStore(out), GatheredJournal(), workers, make_captioner(config, models), models)

    def captions(self, source: Source) -> Path:
        """What the caption stage makes."""
        return caption(self.shop, source, decode(self.shop, source, identify_source(self.shop, source)))


@pytest.fixture
def source(tmp_path: Path) -> Source:
    video = tmp_path / "a.mp4"
    write_video(replace(sample_script(seed=0, duration_s=20), width=160, height=90), video)
    return Source(path=str(video), source="a.mp4")


def _config(server: FaultServer | None, **more: Any) -> BuildConfig:
    return BuildConfig(captioner="served", caption_urls=[server.url] if server else [], caption_model="m",
                       clip_seconds=4, caption_frames=2, picture_questions=0, **more)


def _other_answer(said: dict[str, Any]) -> str:
    return json.dumps(json.loads(right_answer(said)) | {"setting": "another place"})


def test_a_late_worker_with_other_answers_takes_those_that_count(source: Source, tmp_path: Path) -> None:
    """While its first request is on its way, another machine does all of the stage, and is told other things."""
    out, done = tmp_path / "out", []

    def late(said: dict[str, Any]) -> str:
        if not done:
            done.append(None)
            done.append(quick.captions(source))
        return right_answer(said)

    with ExitStack() as running:
        slow_server = running.enter_context(FaultServer(say=late))
        quick_server = running.enter_context(FaultServer(say=_other_answer))
        slow = Machine(tmp_path / "slow", out, _config(slow_server), running)
        quick = Machine(tmp_path / "quick", out, _config(quick_server), running)
        product = slow.captions(source)
        assert product == done[1]
        said = (product / "captions.json").read_bytes()
        assert said.count(b"another place") == 5
        assert len(slow_server.seen) == 5, "what it asked was wasted"
        stored, = (out / ".work" / "answers").rglob("*.answers")
        assert stored.read_bytes().count(b"another place") == 5
        # Whoever builds from what is stored gets what the data set says, though the late ones are stored as well.
        again = Machine(tmp_path / "again", tmp_path / "out2", _config(
            None, answers=[str(tmp_path / "slow"), str(out)]), running)
        assert (again.captions(source) / "captions.json").read_bytes() == said


def test_a_successor_asks_nothing_that_was_asked(source: Source, tmp_path: Path) -> None:
    """The first machine died between its answers and its product."""
    with ExitStack() as running:
        server = running.enter_context(FaultServer())
        first = Machine(tmp_path / "first", tmp_path / "out", _config(server), running)
        product = first.captions(source)
        said, asked = (product / "captions.json").read_bytes(), len(server.seen)
        first.shop.store.discard([product])
        second = Machine(tmp_path / "second", tmp_path / "out", _config(server), running)
        assert (second.captions(source) / "captions.json").read_bytes() == said
        assert len(server.seen) == asked
