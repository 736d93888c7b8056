"""The stages of one video without Prefect: what is stored is used again, what fails is told and left out."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import decode_video, video_stages
from pipeline.captions import make_captioner
from pipeline.journal import Journal, read_journal
from pipeline.killable_worker import WorkerPool
from pipeline.video_stages import VideoRejectedError, Workshop
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.reasons import SENTENCES, Reason, Stage
from schemas.records import Source
from tests.numbered_videos import write_numbered


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    config, store = BuildConfig(), WorkStore(tmp_path / "out")
    journal = Journal(store.root)
    with WorkerPool(1) as workers:
        yield Workshop(config, store, journal, workers, make_captioner(config))
    journal.close()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "video.mp4"
    write_numbered(path, "constant", 400, 320, 180)
    return Source(path=str(path), source="video.mp4")


def _with(shop: Workshop, **choices: object) -> Workshop:
    config = shop.config.model_copy(update=choices)
    return replace(shop, config=config, captioner=make_captioner(config))


def _run(shop: Workshop, source: Source) -> list[str]:
    """All stages; returns those that were done, not found."""
    _, before = _journal(shop)
    video_id = video_stages.identify_source(shop, source)
    decoded = video_stages.decode(shop, source, video_id)
    captioned = video_stages.caption(shop, source, decoded)
    clued = video_stages.clue(shop, source, decoded, captioned)
    video_stages.question(shop, source, decoded, captioned, clued)
    lines, _ = _journal(shop, before)
    return [line["stage"] for line in lines if line["event"] == "done"]


def _journal(shop: Workshop, offset: int = 0) -> tuple[list[dict], int]:
    lines = list(read_journal(shop.journal.path, offset))
    return [line for line, _ in lines], lines[-1][1] if lines else offset


def test_a_changed_choice_does_again_what_follows_from_it_and_no_more(shop: Workshop, source: Source) -> None:
    assert _run(shop, source) == ["probe", "decode", "captions", "clues", "questions"]
    assert _run(shop, source) == []
    assert _run(_with(shop, workers=7, stall_seconds=99.0, decode_threads=3), source) == []
    assert _run(_with(shop, seed=1), source) == ["questions"]
    assert _run(_with(shop, clip_seconds=7.0), source) == ["decode", "captions", "clues", "questions"]
    assert _run(shop, source) == []


def test_another_name_for_the_same_bytes_is_decoded_once(shop: Workshop, source: Source) -> None:
    _run(shop, source)
    other = Path(source.path).with_name("copy.mp4")
    other.write_bytes(Path(source.path).read_bytes())
    assert _run(shop, Source(path=str(other), source="copy.mp4")) == ["probe"]


def test_a_file_that_changed_is_another_video(shop: Workshop, source: Source) -> None:
    before = video_stages.identify_source(shop, source)
    write_numbered(Path(source.path), "constant", 401, 320, 180)
    assert video_stages.identify_source(shop, source) != before


def _hang(report: object, *_: object) -> None:
    time.sleep(1000)


@pytest.mark.parametrize("stage", ["probe", "decode"])
def test_a_decoder_that_hangs_leaves_the_video_out(
    stage: str, shop: Workshop, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = _with(shop, stall_seconds=1.0)
    if stage == "decode":
        video_id = video_stages.identify_source(shop, source)
        monkeypatch.setattr(decode_video, "decode_video", _hang)
        with pytest.raises(VideoRejectedError) as caught:
            video_stages.decode(impatient, source, video_id)
    else:
        monkeypatch.setattr(video_stages, "identify", _hang)
        with pytest.raises(VideoRejectedError) as caught:
            video_stages.identify_source(impatient, source)
    rejection = caught.value.rejection
    assert (rejection.stage, rejection.reason) == (Stage(stage), Reason.DECODER_STALLED)
    assert rejection.detail == f"{SENTENCES[Reason.DECODER_STALLED]}: no progress for 1 s"
    monkeypatch.undo()
    assert "decode" in _run(shop, source), "a stall is no verdict about the bytes: the next run tries again"


def test_a_verdict_about_the_bytes_is_kept_and_told_in_the_same_words(shop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(range(256)) * 40)
    details = []
    for name in ("noise.mp4", "other.mp4"):
        source = Source(path=str(path), source=name)
        with pytest.raises(VideoRejectedError) as caught:
            video_stages.decode(shop, source, video_stages.identify_source(shop, source))
        assert caught.value.rejection.source == name
        details.append(caught.value.rejection.detail)
    assert details[0] == details[1]
    assert details[0].count(SENTENCES[Reason.NOT_A_VIDEO]) == 1
    started = [line for line in _journal(shop)[0] if (line["event"], line["stage"]) == ("started", "decode")]
    assert len(started) == 1


@pytest.mark.parametrize("name", ["gone.mp4", "a folder", "n" * 300])
def test_what_cannot_be_opened_is_left_out(name: str, shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    source = Source(path=f"{tmp_path}/{name}", source=name)
    with pytest.raises(VideoRejectedError) as caught:
        video_stages.identify_source(shop, source)
    assert caught.value.rejection.reason is Reason.MISSING_FILE
    assert str(tmp_path) not in caught.value.rejection.detail
