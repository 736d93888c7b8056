"""The stages of one video, each run at most once: looked up in the work store, else done and stored.

The key of a product is a hash of everything it depends on: the keys before it, the stage's version and
the choices it reads. Change one, and exactly what follows from it is done again.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import captions, clues, decode_video, needles, questions
from pipeline.blind_check import BlindChecker
from pipeline.blind_check_served import ServedBlindChecker
from pipeline.blind_guesser import BuiltInGuesser
from pipeline.captioner import Captioner
from pipeline.captions import caption_video, open_decoded
from pipeline.clue_order_served import ServedOrderer
from pipeline.clues import find_clues
from pipeline.decode import UnreadableVideoError
from pipeline.decode_video import DecodeSettings
from pipeline.exclusion import Exclusion
from pipeline.fetch_request import FetchError, Listing
from pipeline.fetch_stage import FetchedVideo, Fetching
from pipeline.identify import identify
from pipeline.journal import Journal
from pipeline.killable_worker import WorkerCrashedError, WorkerPool, WorkerStalledError
from pipeline.licences import check_licence
from pipeline.picture_check import PictureCheck
from pipeline.quality_gates import find_fault
from pipeline.questions import ask
from pipeline.record_files import read_records, write_records
from pipeline.served_models import ServedModels, StoppedError, Usage
from pipeline.source_subtitles import subtitles_of
from pipeline.work_store import WorkStore, key_of
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
    guesser: BuiltInGuesser | None = None
    """Who tries to answer without the video; None while there are too few questions to train it."""
    exclusion: Exclusion = field(default_factory=Exclusion)
    """Known test videos, which are left out."""


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
    _check_not_excluded(source, None, Stage.SOURCES, shop.exclusion.match_source(source))
    try:
        facts = os.stat(source.path)
    except OSError as error:
        raise _missing(source, error) from error
    if facts.st_size == 0:
        raise VideoRejectedError(_left_out(source, None, Stage.PROBE, Reason.EMPTY_FILE, "the file holds no bytes"))
    key = key_of(os.fsencode(os.path.realpath(source.path)).hex(), facts.st_size, facts.st_mtime_ns)

    def hash_bytes(folder: Path) -> None:
        try:
            video_id = _in_worker(shop, source, None, Stage.PROBE, identify, source.path)
        except OSError as error:
            raise _missing(source, error) from error
        (folder / "id").write_text(video_id)

    video_id = (_once(shop, Stage.PROBE, key, source.source, hash_bytes) / "id").read_text()
    _check_not_excluded(source, video_id, Stage.PROBE, shop.exclusion.match_id(video_id))
    return video_id


def _missing(source: Source, error: OSError) -> VideoRejectedError:
    return VideoRejectedError(_left_out(
        source, None, Stage.SOURCES, Reason.MISSING_FILE, error.strerror or "it cannot be read"))


def fetch(shop: Workshop, source: Source) -> FetchedVideo | Listing:
    """A source that lies elsewhere, brought here.

    Raises:
        VideoRejectedError: it could not be fetched, or may not be taken.
        StoppedError: the budget is spent.
    """
    def go_on() -> None:
        if shop.models is not None and shop.models.spent:
            raise StoppedError("the budget is spent; what it would be fetched for cannot be asked")

    def is_decoded(video_id: str) -> bool:
        keys = [_decode_key(video_id, shop.config)]
        if needles.is_planted(video_id, shop.config.calibrate):
            keys.append(_planted_key(needles.planted_id(video_id, shop.config.seed), shop.config))
        return all(shop.store.find(Stage.DECODE, key) is not None for key in keys)

    _check_not_excluded(source, None, Stage.FETCH, shop.exclusion.match_source(source))
    try:
        fetched = shop.fetching.fetch(source, is_decoded, go_on)
    except FetchError as error:
        raise VideoRejectedError(_left_out(source, None, Stage.FETCH, error.reason, error.detail)) from error
    if isinstance(fetched, FetchedVideo):
        try:
            _check_licence(shop, fetched.source, Stage.FETCH)
            _check_not_excluded(source, fetched.video_id, Stage.FETCH, shop.exclusion.match_id(fetched.video_id))
        except VideoRejectedError:
            fetched.__exit__()
            raise
    return fetched


def _check_licence(shop: Workshop, source: Source, stage: Stage) -> None:
    if not shop.config.licence:
        return
    try:
        check_licence(source.license, shop.config.licence)
    except FetchError as error:
        raise VideoRejectedError(_left_out(source, None, stage, error.reason, error.detail)) from error


def _check_not_excluded(source: Source, video_id: str | None, stage: Stage, found: str | None) -> None:
    if found is not None:
        raise VideoRejectedError(_left_out(source, video_id, stage, Reason.KNOWN_TEST_SET, found))


def judge(shop: Workshop, source: Source, video_id: str, decoded: Path) -> None:
    """The list of known test videos, by what is seen, and the quality gates.

    Raises:
        VideoRejectedError: the video does not pass one of them.
    """
    _check_not_excluded(source, video_id, Stage.QUALITY, shop.exclusion.match_pictures(decoded))
    fault = find_fault(open_decoded(decoded).video, decoded, shop.config)
    if fault is not None:
        raise VideoRejectedError(_left_out(source, video_id, Stage.QUALITY, fault.reason, fault.detail))


def decode(shop: Workshop, source: Source, video_id: str) -> Path:
    """The decode product of a video.

    Raises:
        VideoRejectedError: nothing can come of it.
        StoppedError: the budget is spent.
    """
    return _decode(shop, source, video_id, _decode_key(video_id, shop.config), None)


def decode_planted(shop: Workshop, source: Source, video_id: str) -> Path:
    """The decode product of a copy of a video that has needles in it.

    Args:
        shop: as ever.
        source: the video that the copy is made of.
        video_id: id of the copy, by `needles.planted_id`.

    Raises:
        VideoRejectedError, StoppedError: see `decode`.
    """
    return _decode(shop, source, video_id, _planted_key(video_id, shop.config), shop.config.seed)


def _decode(shop: Workshop, source: Source, video_id: str, key: str, needles_seed: int | None) -> Path:
    settings = _decode_settings(shop.config)

    def run(folder: Path) -> None:
        try:
            _in_worker(shop, source, video_id, Stage.DECODE, decode_video.decode_video,
                       source, video_id, settings, shop.config.decode_threads, folder, needles_seed)
        except UnreadableVideoError as error:
            # A verdict about these bytes under these settings is as lasting as a product.
            for file in folder.iterdir():
                file.unlink()
            verdict = _left_out(source, video_id, Stage.DECODE, error.reason, error.detail)
            write_records(folder / "verdict.json", Rejection, [verdict])

    if shop.models is not None and shop.models.spent and shop.store.find(Stage.DECODE, key) is None:
        raise StoppedError("the budget is spent; what it would be decoded for cannot be asked")
    product = _once(shop, Stage.DECODE, key, source.source, run)
    if (product / "verdict.json").exists():
        verdict = read_records(product / "verdict.json", Rejection)[0]
        raise VideoRejectedError(replace(verdict, source=source.source))
    return product


def _decode_settings(config: BuildConfig) -> DecodeSettings:
    return DecodeSettings(
        clip_seconds=config.clip_seconds, min_last_clip_seconds=config.min_last_clip_seconds,
        max_hours=config.max_hours, caption_frames=config.caption_frames,
        caption_frame_side=config.caption_frame_side, frame_side=config.frame_side,
        jpeg_quality=config.jpeg_quality)


def _decode_key(video_id: str, config: BuildConfig) -> str:
    return key_of(decode_video.VERSION, video_id, asdict(_decode_settings(config)))


def _planted_key(video_id: str, config: BuildConfig) -> str:
    return key_of(decode_video.VERSION, needles.VERSION, config.seed, video_id, asdict(_decode_settings(config)))


def caption(shop: Workshop, source: Source, decoded: Path) -> Path:
    """The captions of a video."""
    opened = open_decoded(decoded)
    # The product may have been made under another name of the same bytes.
    opened = replace(
        opened, video=replace(opened.video, source=source.source), subtitles=subtitles_of(source)[0])
    key = key_of(captions.VERSION, decoded.name, shop.captioner.name, shop.captioner.depends_on(opened))

    def run(folder: Path) -> None:
        through = itertools.count(1)
        _with_usage(
            shop, folder, lambda: caption_video(shop.captioner, opened, folder),
            lambda: shop.journal.say_progress(
                Stage.CAPTIONS, source.source, min(1.0, next(through) / len(opened.clips))))

    return _once(shop, Stage.CAPTIONS, key, source.source, run)


def clue(shop: Workshop, source: Source, decoded: Path, captioned: Path) -> Path:
    """The clues of a video."""
    orderer = ServedOrderer(shop.config, shop.models) if shop.config.orderer == "served" else None
    asks_pictures = shop.config.captioner == "served" and shop.config.picture_questions > 0
    pictures = PictureCheck(shop.config, shop.models) if asks_pictures else None
    depends_on = [asked.depends_on() if asked else None for asked in (orderer, pictures)]
    key = key_of(clues.VERSION, decoded.name, captioned.name, shop.config.orderer, depends_on)

    def run(folder: Path) -> None:
        said = read_records(captioned / "captions.json", Caption)
        opened = open_decoded(decoded)
        _with_usage(shop, folder, lambda: find_clues(
            opened, said, shop.config.orderer, folder, orderer.propose(opened, said) if orderer else None, pictures))

    return _once(shop, Stage.CLUES, key, source.source, run)


def question(shop: Workshop, source: Source, decoded: Path, captioned: Path, clued: Path) -> Path:
    """The samples of a video."""
    config = shop.config
    choices = config.model_dump(include={
        "spans_minutes", "max_questions_per_kind", "max_questions_per_video", "max_questions_per_clue", "twin_share",
        "captions_complete", "seed", "clip_seconds", "orderer"})
    opened = open_decoded(decoded)
    blind = _blind_checker(shop, opened.video.video_id)
    key = key_of(questions.VERSION, decoded.name, captioned.name, clued.name, choices,
                 blind.depends_on() if blind else None)

    def run(folder: Path) -> None:
        said = read_records(captioned / "captions.json", Caption)
        found = read_records(clued / "clues.json", Clue)
        _with_usage(shop, folder, lambda: ask(config, opened, said, found, folder, blind))

    return _once(shop, Stage.QUESTIONS, key, source.source, run)


def _blind_checker(shop: Workshop, video_id: str) -> BlindChecker | None:
    """Who has to guess the answers without the video: the served model, else the guesser once there is one."""
    if shop.config.blind_is_served:
        return ServedBlindChecker(shop.config, shop.models)
    return shop.guesser.for_video(video_id) if shop.guesser else None


def _once(shop: Workshop, stage: Stage, key: str, item: str, run: Callable[[Path], None]) -> Path:
    """The product under a key; made by `run` when it is not there yet."""
    product = shop.store.find(stage, key)
    if product is not None:
        shop.journal.say("reused", stage, item, key=key)
        return product
    shop.journal.say("started", stage, item, key=key)
    with shop.store.write(stage, key) as folder:
        run(folder)
    shop.journal.say("done", stage, item, key=key)
    return shop.store.find(stage, key)


def _with_usage(
    shop: Workshop, folder: Path, run: Callable[[], None], on_reply: Callable[[], None] | None = None
) -> None:
    """Run a stage that may ask models, and write usage.json beside what it writes."""
    if shop.models is None:
        run()
        return
    with shop.models.tally(on_reply) as usage:
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
