"""The stages of one video, each run at most once: looked up in the work store, else done and stored.

The key of a product is a hash of everything it depends on: the keys before it, the stage's version and
the choices it reads. Change one, and exactly what follows from it is done again.
"""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import captions, clues, decode_video, questions
from pipeline.captioner import Captioner
from pipeline.captions import caption_video, open_decoded
from pipeline.clue_order_served import ServedOrderer
from pipeline.clues import find_clues
from pipeline.decode import UnreadableVideoError
from pipeline.decode_video import DecodeSettings
from pipeline.fetch_request import FetchError, Listing
from pipeline.fetch_stage import FetchedVideo, Fetching
from pipeline.identify import identify
from pipeline.journal import Journal
from pipeline.killable_worker import WorkerCrashedError, WorkerPool, WorkerStalledError
from pipeline.licences import check_licence
from pipeline.quality_gates import find_fault
from pipeline.questions import ask
from pipeline.record_files import read_records, write_records
from pipeline.served_models import ServedModels, StoppedError, Usage
from pipeline.work_store import Inputs, WorkStore, key_of
from schemas.build_config import BuildConfig
from schemas.reasons import SENTENCES, Reason, Stage
from schemas.records import Caption, Clue, Rejection, Source


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the stages of all videos of one run share."""

    config: BuildConfig
    store: WorkStore
    journal: Journal
    workers: WorkerPool
    captioner: Captioner
    models: ServedModels | None = None
    """Whom 'served' captioners and orderers ask."""
    fetching: Fetching | None = None
    """None where every source is a file that is here."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when no stage is to be begun any more; what has begun is finished."""
    known_ids: Mapping[str, str] = field(default_factory=dict)
    """Ids of files of earlier builds by their path, for those that are gone by now."""


class VideoRejectedError(Exception):
    """A video that is left out whole."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection


def identify_source(shop: Workshop, source: Source) -> str:
    """The video's id: read from the store when the file is the one that was hashed before.

    Raises:
        VideoRejectedError: the file is gone, cannot be read, is empty, or may not be taken.
    """
    _check_licence(shop, source, Stage.SOURCES)
    try:
        facts = os.stat(source.path)
    except OSError as error:
        known = shop.known_ids.get(source.path)
        if known and shop.store.find(Stage.DECODE, key_of(_decode_inputs(known, shop.config))) is not None:
            return known  # the file is gone, but nothing needs it any more
        raise _missing(source, error) from error
    if facts.st_size == 0:
        raise VideoRejectedError(_left_out(source, None, Stage.PROBE, Reason.EMPTY_FILE, "the file holds no bytes"))
    inputs = {"path": os.fsencode(os.path.realpath(source.path)).hex(), "bytes": facts.st_size,
              "changed_ns": facts.st_mtime_ns}

    def hash_bytes(folder: Path) -> None:
        try:
            video_id = _in_worker(shop, source, None, Stage.PROBE, identify, source.path)
        except OSError as error:
            raise _missing(source, error) from error
        (folder / "id").write_text(video_id)

    return (_once(shop, Stage.PROBE, inputs, source.source, hash_bytes) / "id").read_text()


def _missing(source: Source, error: OSError) -> VideoRejectedError:
    return VideoRejectedError(_left_out(
        source, None, Stage.SOURCES, Reason.MISSING_FILE, error.strerror or "it cannot be read"))


def fetch(shop: Workshop, source: Source) -> FetchedVideo | Listing:
    """A source that lies elsewhere, brought here.

    Raises:
        VideoRejectedError: it could not be fetched, or may not be taken.
        StoppedError: it is not here, and the user wants no more to be begun.
    """
    try:
        fetched = shop.fetching.find(source, is_decoded(shop))
        if fetched is None:
            if shop.stopping.is_set():
                raise StoppedError("it was told to stop")
            fetched = shop.fetching.fetch(source, is_decoded(shop))
    except FetchError as error:
        raise VideoRejectedError(_left_out(source, None, Stage.FETCH, error.reason, error.detail)) from error
    if isinstance(fetched, FetchedVideo):
        _check_licence(shop, fetched.source, Stage.FETCH)
    return fetched


def is_decoded(shop: Workshop) -> Callable[[str], bool]:
    """Tells of a video's id whether its bytes are needed no more."""
    return lambda video_id: shop.store.find(Stage.DECODE, key_of(_decode_inputs(video_id, shop.config))) is not None


def _check_licence(shop: Workshop, source: Source, stage: Stage) -> None:
    if not shop.config.licence:
        return
    try:
        check_licence(source.license, shop.config.licence)
    except FetchError as error:
        raise VideoRejectedError(_left_out(source, None, stage, error.reason, error.detail)) from error


def judge(shop: Workshop, source: Source, video_id: str, decoded: Path) -> None:
    """The quality gates.

    Raises:
        VideoRejectedError: the video does not pass one of them.
    """
    fault = find_fault(open_decoded(decoded).video, decoded, shop.config)
    if fault is not None:
        raise VideoRejectedError(_left_out(source, video_id, Stage.QUALITY, fault.reason, fault.detail))


def decode(shop: Workshop, source: Source, video_id: str) -> Path:
    """The decode product of a video.

    Raises:
        VideoRejectedError: nothing can come of it.
        StoppedError: the budget is spent.
    """
    config = shop.config
    settings = decode_settings(config)
    inputs = _decode_inputs(video_id, config)

    def run(folder: Path) -> None:
        try:
            _in_worker(shop, source, video_id, Stage.DECODE, decode_video.decode_video,
                       source, video_id, settings, config.decode_threads, folder)
        except UnreadableVideoError as error:
            # A verdict about these bytes under these settings is as lasting as a product.
            for file in folder.iterdir():
                file.unlink()
            verdict = _left_out(source, video_id, Stage.DECODE, error.reason, error.detail)
            write_records(folder / "verdict.json", Rejection, [verdict])

    if shop.models is not None and shop.models.spent and shop.store.find(Stage.DECODE, key_of(inputs)) is None:
        raise StoppedError("the budget is spent; what it would be decoded for cannot be asked")
    product = _once(shop, Stage.DECODE, inputs, source.source, run)
    if (product / "verdict.json").exists():
        verdict = read_records(product / "verdict.json", Rejection)[0]
        raise VideoRejectedError(replace(verdict, source=source.source))
    return product


def decode_settings(config: BuildConfig) -> DecodeSettings:
    return DecodeSettings(
        clip_seconds=config.clip_seconds, min_last_clip_seconds=config.min_last_clip_seconds,
        max_hours=config.max_hours, caption_frames=config.caption_frames,
        caption_frame_side=config.caption_frame_side, frame_side=config.frame_side,
        jpeg_quality=config.jpeg_quality)


def _decode_inputs(video_id: str, config: BuildConfig) -> Inputs:
    return {"version": decode_video.VERSION, "video": video_id, **asdict(decode_settings(config))}


def caption(shop: Workshop, source: Source, decoded: Path) -> Path:
    """The captions of a video."""
    opened = open_decoded(decoded)
    # The product may have been made under another name of the same bytes.
    opened = replace(opened, video=replace(opened.video, source=source.source))
    inputs = {"version": captions.VERSION, "video": opened.video.video_id, "decode": decoded.name,
              "captioner": shop.captioner.name, "captioner_reads": shop.captioner.depends_on(opened.video)}

    def run(folder: Path) -> None:
        _with_usage(shop, folder, lambda: caption_video(shop.captioner, opened, folder))

    return _once(shop, Stage.CAPTIONS, inputs, source.source, run)


def clue(shop: Workshop, source: Source, decoded: Path, captioned: Path) -> Path:
    """The clues of a video."""
    orderer = ServedOrderer(shop.config, shop.models) if shop.config.orderer == "served" else None
    depends_on = orderer.depends_on() if orderer else None
    inputs = {"version": clues.VERSION, "video": _video_of(decoded), "decode": decoded.name,
              "captions": captioned.name, "orderer": shop.config.orderer, "orderer_reads": depends_on}

    def run(folder: Path) -> None:
        said = read_records(captioned / "captions.json", Caption)
        opened = open_decoded(decoded)
        _with_usage(shop, folder, lambda: find_clues(
            opened, said, shop.config.orderer, folder, orderer.propose(opened, said) if orderer else None))

    return _once(shop, Stage.CLUES, inputs, source.source, run)


def question(shop: Workshop, source: Source, decoded: Path, captioned: Path, clued: Path) -> Path:
    """The samples of a video."""
    config = shop.config
    choices = config.model_dump(include={
        "spans_minutes", "max_questions_per_kind", "seed", "clip_seconds", "orderer"})
    inputs = {"version": questions.VERSION, "video": _video_of(decoded), "decode": decoded.name,
              "captions": captioned.name, "clues": clued.name, **choices}

    def run(folder: Path) -> None:
        said = read_records(captioned / "captions.json", Caption)
        found = read_records(clued / "clues.json", Clue)
        ask(config, open_decoded(decoded), said, found, folder)

    return _once(shop, Stage.QUESTIONS, inputs, source.source, run)


def _once(shop: Workshop, stage: Stage, inputs: Inputs, item: str, run: Callable[[Path], None]) -> Path:
    """The product made from these inputs; made by `run` when it is not there yet.

    Raises:
        StoppedError: it is not there, and the user wants no more to be begun.
    """
    key = key_of(inputs)
    product = shop.store.find(stage, key)
    if product is not None:
        shop.journal.say("reused", stage, item, key=key)
        return product
    if shop.stopping.is_set():
        raise StoppedError("it was told to stop")
    with shop.store.write(stage, key, inputs) as folder:
        shop.journal.say("started", stage, item, key=key)
        run(folder)
    shop.journal.say("done", stage, item, key=key)
    return shop.store.find(stage, key)


def _video_of(decoded: Path) -> str:
    return open_decoded(decoded).video.video_id


def _with_usage(shop: Workshop, folder: Path, run: Callable[[], None]) -> None:
    """Run a stage that may ask models, and write usage.json beside what it writes."""
    if shop.models is None:
        run()
        return
    with shop.models.tally() as usage:
        run()
    write_records(folder / "usage.json", Usage, usage)


def _in_worker(
    shop: Workshop, source: Source, video_id: str | None, stage: Stage, job: Callable[..., Any], *arguments: Any
) -> Any:
    """Run a job that reads a stranger's file in a process that may hang or die."""
    try:
        with shop.workers.borrow() as worker:
            return worker.run(
                job, *arguments, stall_seconds=shop.config.stall_seconds,
                on_progress=lambda share: shop.journal.say_progress(stage, source.source, share))
    except WorkerStalledError as error:
        raise VideoRejectedError(_left_out(source, video_id, stage, Reason.DECODER_STALLED, str(error))) from error
    except WorkerCrashedError as error:
        raise VideoRejectedError(_left_out(source, video_id, stage, Reason.DECODER_CRASHED, str(error))) from error


def _left_out(source: Source, video_id: str | None, stage: Stage, reason: Reason, detail: str) -> Rejection:
    return Rejection(
        stage=stage, reason=reason, detail=f"{SENTENCES[reason]}: {detail}",
        source=source.source, video_id=video_id)
