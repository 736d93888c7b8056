"""The stages of one video, each run at most once: looked up in the work store, else done and stored.

The key of a product is a hash of everything it depends on: the keys before it, the stage's version and
the choices it reads. Change one, and exactly what follows from it is done again.
"""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import captions, clues, decode_video, needles, questions
from pipeline.blind_check import BlindChecker
from pipeline.blind_check_served import ServedBlindChecker
from pipeline.blind_guesser import BuiltInGuesser
from pipeline.captioner import Captioner
from pipeline.captions import caption_video, open_decoded
from pipeline.clip_files import clip_files_inputs
from pipeline.clue_order_served import ServedOrderer
from pipeline.clues import find_clues
from pipeline.cut_clips import cut_clips
from pipeline.decode import UnreadableVideoError
from pipeline.decode_video import DecodeSettings
from pipeline.exclusion import Exclusion
from pipeline.fetch_request import FetchError, Listing
from pipeline.fetch_stage import FetchedVideo, Fetching
from pipeline.identify import identify
from pipeline.journal import Journal
from pipeline.killable_worker import KillableWorker, WorkerCrashedError, WorkerPool, WorkerStalledError
from pipeline.licences import check_licence
from pipeline.meaning import Meaning
from pipeline.picture_check import PictureCheck
from pipeline.quality_gates import find_fault
from pipeline.questions import ask
from pipeline.record_files import read_records, write_records
from pipeline.served_models import ServedModels
from pipeline.served_questions import Usage
from pipeline.shared_answers import answers_name
from pipeline.shared_run import Stop
from pipeline.source_subtitles import subtitles_of
from pipeline.stopped import StoppedError
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
    guesser: BuiltInGuesser | None = None
    """Who tries to answer without the video; None while there are too few questions to train it."""
    exclusion: Exclusion = field(default_factory=Exclusion)
    """Known test videos, which are left out."""
    stopping: Stop = field(default_factory=threading.Event)
    """Set when no stage is to be begun any more; what has begun is finished."""
    known_ids: Mapping[str, str] = field(default_factory=dict)
    """Ids of files of earlier builds by their path, for those that are gone by now."""
    forgotten: frozenset[str] = frozenset()
    """Ids of videos that are kept out."""


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
    video_id = _identify(shop, source)
    _check_not_excluded(source, video_id, Stage.PROBE, shop.exclusion.match_id(video_id))
    return video_id


def _identify(shop: Workshop, source: Source) -> str:
    try:
        facts = os.stat(source.path)
    except OSError as error:
        known = shop.known_ids.get(os.path.realpath(source.path))
        if known and is_decoded(shop, known):
            return known  # the file is gone, but nothing needs it any more
        raise _missing(source, error) from error
    if facts.st_size == 0:
        raise VideoRejectedError(_left_out(source, None, Stage.PROBE, Reason.EMPTY_FILE, "the file holds no bytes"))
    inputs = {"path": os.fsencode(os.path.realpath(source.path)).hex(), "bytes": facts.st_size,
              "changed_ns": facts.st_mtime_ns}

    def hash_bytes(folder: Path, worker: KillableWorker) -> None:
        try:
            video_id = _in_worker(worker, shop, source, None, Stage.PROBE, identify, source.path)
        except OSError as error:
            raise _missing(source, error) from error
        (folder / "id").write_text(video_id)

    return (_once_in_worker(shop, Stage.PROBE, inputs, source.source, hash_bytes) / "id").read_text()


def _missing(source: Source, error: OSError) -> VideoRejectedError:
    return VideoRejectedError(_left_out(
        source, None, Stage.SOURCES, Reason.MISSING_FILE, error.strerror or "it cannot be read"))


def fetch(shop: Workshop, source: Source) -> FetchedVideo | Listing:
    """A source that lies elsewhere, brought here.

    Raises:
        VideoRejectedError: it could not be fetched, or may not be taken.
        StoppedError: the budget is spent, or the user wants no more to be begun. What is half fetched stays.
    """
    def go_on() -> None:
        if shop.stopping.is_set():
            raise StoppedError("it was told to stop")
        if shop.models is not None and shop.models.spent:
            raise StoppedError("the budget is spent; what it would be fetched for cannot be asked")

    return _taken(shop, source, lambda: shop.fetching.fetch(
        source, lambda video_id: is_decoded(shop, video_id), go_on))


def find_fetched(shop: Workshop, source: Source) -> FetchedVideo | None:
    """The same of a source that was fetched before; None where it would have to be fetched, or is a list.

    Raises:
        VideoRejectedError: it may not be taken.
    """
    return _taken(shop, source, lambda: shop.fetching.find(source, lambda video_id: is_decoded(shop, video_id)))


def _taken(
    shop: Workshop, source: Source, bring: Callable[[], FetchedVideo | Listing | None]
) -> FetchedVideo | Listing | None:
    """What is brought, if it may be taken by its address, its licence and its bytes."""
    _check_not_excluded(source, None, Stage.FETCH, shop.exclusion.match_source(source))
    try:
        fetched = bring()
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


def id_of_planted(shop: Workshop, video_id: str) -> str | None:
    """The id of the copy with planted needles that a video is to have; None where it is to have none."""
    copy_id = needles.planted_id(video_id, shop.config.seed)
    is_wanted = needles.is_planted(video_id, shop.config.calibrate) and copy_id not in shop.forgotten
    return copy_id if is_wanted else None


def is_decoded(shop: Workshop, video_id: str) -> bool:
    """Whether a video's bytes are needed no more, neither for itself nor for a copy with planted needles."""
    copy_id = id_of_planted(shop, video_id)
    wanted = {video_id: _decode_inputs(video_id, shop.config)}
    if copy_id is not None:
        wanted[copy_id] = _planted_inputs(copy_id, shop.config)
    return all(
        shop.store.find(Stage.DECODE, key_of(inputs)) is not None and _clip_files_wanted(
            shop, one, is_planted=one == copy_id) is None
        for one, inputs in wanted.items())


def _clip_files_wanted(shop: Workshop, video_id: str, is_planted: bool) -> Inputs | None:
    """What the clip files of a video are to be made from; None where they are there, or nobody asks for them."""
    inputs = clip_files_inputs(shop.config, video_id, is_planted)
    is_there = shop.store.find(Stage.CLIP_FILES, key_of(inputs)) is not None
    return inputs if shop.config.keep_clips and not is_there else None


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
    return _decode(shop, source, video_id, _decode_inputs(video_id, shop.config), None)


def decode_planted(shop: Workshop, source: Source, video_id: str) -> Path:
    """The decode product of a copy of a video that has needles in it.

    Args:
        shop: as ever.
        source: the video that the copy is made of.
        video_id: id of the copy, by `id_of_planted`.

    Raises:
        VideoRejectedError, StoppedError: see `decode`.
    """
    return _decode(shop, source, video_id, _planted_inputs(video_id, shop.config), shop.config.seed)


def _decode(shop: Workshop, source: Source, video_id: str, inputs: Inputs, needles_seed: int | None) -> Path:
    """The decode product; where clip files are wanted, they are there too when it returns.

    One pass makes both. A pass of their own is for clip files that are asked for later.
    """
    wanted = _clip_files_wanted(shop, video_id, needles_seed is not None)

    def run(folder: Path, worker: KillableWorker) -> None:
        try:
            with _clip_folder(shop, wanted) as clip_folder:
                _in_decoder(
                    worker, shop, source, video_id, decode_video.decode_video, folder, needles_seed, clip_folder)
        except UnreadableVideoError as error:
            # A verdict about these bytes under these settings is as lasting as a product.
            for file in folder.iterdir():
                file.unlink()
            verdict = _left_out(source, video_id, Stage.DECODE, error.reason, error.detail)
            write_records(folder / "verdict.json", Rejection, [verdict])

    product = _once_in_worker(shop, Stage.DECODE, inputs, source.source, run)
    if (product / "verdict.json").exists():
        verdict = read_records(product / "verdict.json", Rejection)[0]
        raise VideoRejectedError(replace(verdict, source=source.source))
    if wanted is not None:
        _once_in_worker(shop, Stage.CLIP_FILES, wanted, source.source, lambda folder, worker: _in_decoder(
            worker, shop, source, video_id, cut_clips, folder, needles_seed))
    return product


def _clip_folder(shop: Workshop, wanted: Inputs | None) -> contextlib.AbstractContextManager[Path | None]:
    if wanted is None:
        return contextlib.nullcontext()
    return shop.store.write(Stage.CLIP_FILES, key_of(wanted), wanted)


def _in_decoder(
    worker: KillableWorker, shop: Workshop, source: Source, video_id: str, job: Callable[..., None], folder: Path,
    *more: Any,
) -> None:
    _in_worker(worker, shop, source, video_id, Stage.DECODE, job, source, video_id, decode_settings(shop.config),
               shop.config.decode_threads, folder, *more)


def decode_settings(config: BuildConfig) -> DecodeSettings:
    return DecodeSettings(
        clip_seconds=config.clip_seconds, min_last_clip_seconds=config.min_last_clip_seconds,
        max_hours=config.max_hours, caption_frames=config.caption_frames,
        caption_frame_side=config.caption_frame_side, frame_side=config.frame_side,
        jpeg_quality=config.jpeg_quality)


def _decode_inputs(video_id: str, config: BuildConfig) -> Inputs:
    return {"version": decode_video.VERSION, "video": video_id, **asdict(decode_settings(config))}


def _planted_inputs(video_id: str, config: BuildConfig) -> Inputs:
    return _decode_inputs(video_id, config) | {"needles": needles.VERSION, "seed": config.seed}


def caption(shop: Workshop, source: Source, decoded: Path) -> Path:
    """The captions of a video."""
    opened = open_decoded(decoded)
    # The product may have been made under another name of the same bytes.
    opened = replace(
        opened, video=replace(opened.video, source=source.source), subtitles=subtitles_of(source)[0])
    inputs = {"version": captions.VERSION, "video": opened.video.video_id, "decode": decoded.name,
              "captioner": shop.captioner.name, "captioner_reads": shop.captioner.depends_on(opened)}

    def run(folder: Path) -> None:
        through = itertools.count(1)
        _with_usage(
            shop, Stage.CAPTIONS, inputs, folder, lambda: caption_video(shop.captioner, opened, folder),
            lambda: shop.journal.say_progress(
                Stage.CAPTIONS, source.source, min(1.0, next(through) / len(opened.clips))))

    return _once(shop, Stage.CAPTIONS, inputs, source.source, run)


def clue(shop: Workshop, source: Source, decoded: Path, captioned: Path) -> Path:
    """The clues of a video."""
    orderer = ServedOrderer(shop.config, shop.models) if shop.config.orderer == "served" else None
    asks_pictures = shop.config.captioner == "served" and shop.config.picture_questions > 0
    pictures = PictureCheck(shop.config, shop.models) if asks_pictures else None
    meaning = Meaning(shop.config, shop.models) if shop.config.embedding_model else None
    opened = open_decoded(decoded)
    inputs = {"version": clues.VERSION, "video": opened.video.video_id, "decode": decoded.name,
              "captions": captioned.name, "orderer": shop.config.orderer,
              "orderer_reads": orderer.depends_on() if orderer else None,
              "meaning_reads": meaning.depends_on() if meaning else None,
              "picture_check_reads": pictures.depends_on() if pictures else None}

    def run(folder: Path) -> None:
        said = read_records(captioned / "captions.json", Caption)
        _with_usage(shop, Stage.CLUES, inputs, folder, lambda: find_clues(
            opened, said, shop.config.orderer, folder, orderer.propose(opened, said) if orderer else None,
            meaning, pictures))

    return _once(shop, Stage.CLUES, inputs, source.source, run)


def question(shop: Workshop, source: Source, decoded: Path, captioned: Path, clued: Path) -> Path:
    """The samples of a video."""
    config = shop.config
    choices = config.model_dump(include={
        "spans_minutes", "max_questions_per_kind", "max_questions_per_video", "max_questions_per_clue", "twin_share",
        "open_share", "captions_complete", "seed", "clip_seconds", "orderer"})
    opened = open_decoded(decoded)
    blind = _blind_checker(shop, opened.video.video_id)
    inputs = {"version": questions.VERSION, "video": opened.video.video_id, "decode": decoded.name,
              "captions": captioned.name, "clues": clued.name, **choices,
              "blind": blind.name if blind else None, "blind_reads": blind.depends_on() if blind else None}

    def run(folder: Path) -> None:
        said = read_records(captioned / "captions.json", Caption)
        found = read_records(clued / "clues.json", Clue)
        _with_usage(
            shop, Stage.QUESTIONS, inputs, folder, lambda: ask(config, opened, said, found, folder, blind))

    return _once(shop, Stage.QUESTIONS, inputs, source.source, run)


def _blind_checker(shop: Workshop, video_id: str) -> BlindChecker | None:
    """Who has to guess the answers without the video: the served model, else the guesser once there is one."""
    if shop.config.blind_is_served:
        return ServedBlindChecker(shop.config, shop.models)
    return shop.guesser.for_video(video_id) if shop.guesser else None


def _once(shop: Workshop, stage: Stage, inputs: Inputs, item: str, run: Callable[[Path], None]) -> Path:
    """The product made from these inputs; made by `run` when it is not there yet.

    Raises:
        StoppedError: it is not there, and nothing is to be begun any more.
    """
    return _once_in_turn(shop, stage, inputs, item, lambda folder, _: run(folder), contextlib.nullcontext)


def _once_in_worker(
    shop: Workshop, stage: Stage, inputs: Inputs, item: str, run: Callable[[Path, KillableWorker], None]
) -> Path:
    """The same of a stage that begins when a worker is free, and has it until its files are written."""
    return _once_in_turn(shop, stage, inputs, item, run, shop.workers.borrow)


def _once_in_turn(
    shop: Workshop, stage: Stage, inputs: Inputs, item: str, run: Callable[[Path, Any], None],
    turn: Callable[[], contextlib.AbstractContextManager[Any]],
) -> Path:
    """The same of a stage that waits for its turn. When its files are flushed to the disk, the turn is another's."""
    key = key_of(inputs)
    product = shop.store.find(stage, key)
    if product is not None:
        shop.journal.say("reused", stage, item, key=key)
        return product
    with shop.store.write(stage, key, inputs) as folder, turn() as worker:
        _check_may_begin(shop, stage)
        shop.journal.say("started", stage, item, key=key)
        run(folder, worker)
    shop.journal.say("done", stage, item, key=key)
    return shop.store.find(stage, key)


def _check_may_begin(shop: Workshop, stage: Stage) -> None:
    if shop.stopping.is_set():
        raise StoppedError("it was told to stop")
    if stage is Stage.DECODE and shop.models is not None and shop.models.spent:
        raise StoppedError("the budget is spent; what it would be decoded for cannot be asked")


def _with_usage(
    shop: Workshop, stage: Stage, inputs: Inputs, folder: Path, run: Callable[[], None],
    on_reply: Callable[[], None] | None = None,
) -> None:
    """Run a stage that may ask models, and write usage.json beside what it writes."""
    if shop.models is None:
        run()
        return
    shared = shop.models.shared
    if shared is not None:
        shared.bring(inputs["video"])
    with shop.models.tally(on_reply) as tally:
        run()
    name = answers_name(inputs["video"], stage, key_of(inputs))
    if shared is not None and not shared.commit(name, tally.keys):
        with shop.models.tally() as tally:
            run()  # once more from the answers that count
    write_records(folder / "usage.json", Usage, tally.usage)


def _in_worker(
    worker: KillableWorker, shop: Workshop, source: Source, video_id: str | None, stage: Stage,
    job: Callable[..., Any], *arguments: Any,
) -> Any:
    """Run a job that reads a stranger's file in a process that may hang or die."""
    try:
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
