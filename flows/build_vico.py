"""The flow `build-vico`: from sources to VICO shards.

One task per video and stage. Prefect retries a task once and keeps no results: what is done is known by
the work store under the output, so a flow that is run again goes on where it was.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import ProgressArtifact, publish_calibration, publish_served, publish_summary
from flows.ctrl_c import ctrl_c_stops
from pipeline import blind_guesser, needles, video_stages
from pipeline.blind_guesser import BuiltInGuesser
from pipeline.build_request import with_fixed_buckets, write_request
from pipeline.captioner_file import describe_files
from pipeline.captions import make_captioner
from pipeline.catalogue import (
    Catalogue,
    address,
    forget,
    read_catalogue,
    read_under_way,
    write_catalogue,
    write_under_way,
)
from pipeline.exclusion import load_exclusion
from pipeline.fetch_request import Listing
from pipeline.fetch_stage import FetchedVideo, Fetching
from pipeline.journal import Journal
from pipeline.killable_worker import WorkerPool
from pipeline.llm_client import ServerRefusesError, ServersDownError
from pipeline.no_room import is_no_room
from pipeline.output_lock import only_run
from pipeline.output_place import OutputPlace, catch_up, fault_of_clip_files, place_of
from pipeline.playlists import sources_in
from pipeline.publish import commit
from pipeline.record_files import read_records
from pipeline.remaking import drop_from_stage, drop_videos
from pipeline.report.refresh import refresh_page
from pipeline.served_models import ServedModels, StoppedError
from pipeline.shards import write_shards
from pipeline.shared_run import Claims, Stop, ThreadClaims
from pipeline.sources import find_sources
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import VideoRejectedError, Workshop
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, Sample, Source

_MOST_SAMPLES_ON_THE_PAGE = 1_000
_PAGE_WITHIN_S = 3600.0
_TASK = {"retries": 1, "retry_delay_seconds": 1, "cache_policy": NO_CACHE, "persist_result": False}


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A video that has to wait for another run: no failure, and nothing to retry now."""

    why: str


@dataclass(frozen=True, slots=True)
class SetupWrong:
    """No request to a model server can succeed as things are set up: nothing to retry, and no use in going on."""

    why: str


Outcome = VideoProducts | Rejection | Unfinished | SetupWrong
"""What becomes of a video."""


@dataclass(frozen=True, slots=True)
class SourceMade:
    """What became of a source; no outcome where another source of the same bytes has it."""

    source: Source
    video_id: str
    outcome: Outcome | None
    planted: Outcome | None = None
    """What became of the copy with planted needles; None where none was made."""


@dataclass(frozen=True, slots=True)
class SourcesFound:
    """A source that turned out to be a list."""

    sources: list[Source]
    rejected: list[Rejection]


class WrongSetupError(Exception):
    """A model server refuses everything: wrong key, wrong model, wrong limits; or the output cannot hold what was asked
    for. Finished stages are kept."""


class BuildFailedError(Exception):
    """Videos failed by a fault of ours, twice each; their finished stages are kept."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build made."""

    out: Path
    manifest: dict[str, Any] | None
    """None where it was told to stop, or the disk is full: the data set is as it was."""
    unfinished: int = 0
    """Videos that are left for another run."""
    why_unfinished: str = ""


@flow(name="build-vico", persist_result=False)
def build_vico(
    sources: list[str], out: str, config: BuildConfig | None = None, rebuild: Stage | None = None,
    forgotten: list[str] | None = None,
) -> BuildResult:
    """Make a VICO data set from long videos, or let one grow.

    Args:
        sources: addresses, video files, folders, or lists of these (.txt, .csv, .jsonl, .parquet); what earlier
            builds of the output were made from is always among them. None: those of a build that was broken off.
        out: the output folder, or its address in an object store; a build that was stopped there is continued.
        config: everything that can be chosen.
        rebuild: a stage that is done again, with all that follow it.
        forgotten: ids of videos to take out for good.

    Raises:
        SourceError: a source does not exist; nothing was done.
        CaptionFileError: a caption file cannot be used; nothing was done.
        ExclusionListError: a list of test videos cannot be used; nothing was done.
        BucketsFixedError: the output has another number of shards; nothing was done.
        OutputInUseError: another build works on the output.
        WrongSetupError: a model server refuses everything, or clip files were asked for in an object store.
        BuildFailedError: a fault of ours; run it again to go on.
        NoSuchStoreError: the object store does not answer, or does not let us in.
        CommitLostError: another build published in the object store meanwhile; run it again to go on.
    """
    config = config or BuildConfig()
    place = place_of(out, config.scratch)
    if fault := fault_of_clip_files(config, out):
        raise WrongSetupError(fault)
    target = place.folder
    named = find_sources(sources) if sources else []
    with only_run(target), ctrl_c_stops() as stopping, ExitStack() as running:
        catch_up(place)
        store = place.store()
        store.sweep()
        config = with_fixed_buckets(config, store.root)
        exclusion = load_exclusion(config, target)
        workers = running.enter_context(WorkerPool(config.workers))
        models = running.enter_context(served_models(config, place, stopping))
        if forgotten:
            forget(store.root, forgotten)
            gone = {*forgotten, *(needles.planted_id(one, config.seed) for one in forgotten)}
            drop_videos(store, gone)
            for video_id in gone:
                place.shared("answers").remove(video_id)
        if rebuild is not None:
            drop_from_stage(store, rebuild)
        catalogue = read_catalogue(store.root)
        named = named or read_under_way(store.root)
        found = catalogue.with_new(named)
        is_remote = any(source.url is not None for source in found)
        journal = Journal(store.root)
        journal.say("began", "run", "data set")
        write_request(store.root, config)
        write_under_way(store.root, named)
        fetching = running.enter_context(Fetching(config, store, journal)) if is_remote else None
        shop = Workshop(
            config, store, journal, workers, make_captioner(config, models), models, fetching,
            BuiltInGuesser.load(target / blind_guesser.FILE_NAME), exclusion, stopping, catalogue.video_ids,
            catalogue.forgotten)
        _plan(shop, len(found), sum(source.url is not None for source in found))
        with _crew(shop, place, is_remote) as crew:
            products, rejected, unfinished = _run_videos(shop, found, crew, catalogue)
        if not unfinished:
            products, unfinished = _judge_blind(shop, products, target)
        if unfinished and stopping.is_set():
            return BuildResult(target, None, len(unfinished), unfinished[0].why)
        manifest = write_shards_task(shop, products, rejected, target)
        if place.objects is None:
            page = report_task(shop, target)
        else:
            page = None  # it opens from disk, and nobody opens it in the scratch folder
            commit(target, place.objects, keep_before=not forgotten)
        if fetching is not None and config.delete_source:
            fetching.delete(product.video_id for product in products
                            if product.source.url is not None and not product.is_calibration)
        if models is not None:
            for role, counts in models.counts().items():
                journal.say("done", "requests", role, counts=counts)
            publish_served(manifest, models.counts())
        journal.say("done", "run", "data set")
        journal.close()
    publish_summary(target, manifest, page)
    if "calibration" in manifest:
        publish_calibration(manifest["calibration"])
    return BuildResult(target, manifest, len(unfinished), unfinished[0].why if unfinished else "")


def served_models(
    config: BuildConfig, place: OutputPlace, stopping: Stop
) -> AbstractContextManager[ServedModels | None]:
    """Whom a build asks; None for a build that asks nobody."""
    if not config.asks_models:
        return nullcontext()
    if place.objects is None and config.ray is None:
        return ServedModels(config, place.folder / ".work", stopping)
    known = config.model_copy(update={"answers": [*config.answers, *place.earlier_answers()]})
    return ServedModels(known, place.own / ".work", stopping, place.shared("answers"))


class Crew(Protocol):
    """Who makes videos."""

    def submit(self, source: Source) -> PrefectFuture:
        """Have a source made when its turn comes."""

    def outcome(self, future: PrefectFuture) -> Any:
        """What became of it, or the exception that ended its last try; waits for it."""


class ThreadCrew:
    """Makes videos in threads of this process."""

    def __init__(self, shop: Workshop, runner: ThreadPoolTaskRunner) -> None:
        self._shop, self._runner, self._claims = shop, runner, ThreadClaims()

    def submit(self, source: Source) -> PrefectFuture:
        """See `Crew`."""
        return self._runner.submit(make_source, {"shop": self._shop, "source": source, "claims": self._claims})

    def outcome(self, future: PrefectFuture) -> Any:
        """See `Crew`."""
        return future.result(raise_on_failure=False)


@contextmanager
def _crew(shop: Workshop, place: OutputPlace, is_remote: bool) -> Iterator[Crew]:
    """Who makes the videos of this build."""
    config = shop.config
    if config.ray is not None:
        from flows.ray_crew import ray_crew  # ray is an extra

        with ray_crew(shop, place) as crew:
            yield crew
        return
    # While the pictures of one video are asked about, and what it gave is flushed to the disk, the worker decodes the
    # next. Threads that fetch wait while the workers are busy, so that the cache does not run full.
    with ThreadPoolTaskRunner(max_workers=2 * config.workers + (config.fetches if is_remote else 0)) as runner:
        yield ThreadCrew(shop, runner)


def _run_videos(
    shop: Workshop, found: Sequence[Source], crew: Crew, catalogue: Catalogue
) -> tuple[list[VideoProducts], list[Rejection], list[Unfinished]]:
    """All videos, two at a time for each worker; what a list names follows when it has been read.

    When all went well, the catalogue holds them, before any of them can be in the data set.
    """
    progress = ProgressArtifact("videos", len(found))
    waiting = deque(crew.submit(source) for source in found)
    sources = list(found)
    named = {source.url for source in found}
    outcomes: list[Any] = []
    while waiting:
        outcome = crew.outcome(waiting.popleft())
        outcomes.append(outcome)
        _raise_if_setup_is_wrong(outcome)
        if isinstance(outcome, SourcesFound):
            fresh = [source for source in outcome.sources if source.url not in named]
            named |= {source.url for source in fresh}
            sources += fresh
            waiting.extend(crew.submit(source) for source in fresh)
            _plan(shop, len(outcomes) + len(waiting), len(named - {None}))
        progress.advance(1)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failed:
        raise BuildFailedError(f"{len(failed)} of {len(found)} videos failed; the first: {failed[0]!r}") from failed[0]
    listed = [row for outcome in outcomes if isinstance(outcome, SourcesFound) for row in outcome.rejected]
    rejected = [*listed, *(outcome for outcome in outcomes if isinstance(outcome, Rejection))]
    unfinished = [outcome for outcome in outcomes if isinstance(outcome, Unfinished)]
    made = [outcome for outcome in outcomes if isinstance(outcome, SourceMade)]
    if not (unfinished and shop.stopping.is_set()):
        ids = {**catalogue.video_ids, **{address(one.source): one.video_id for one in made}}
        write_catalogue(shop.store.root, sources, ids)
    made = [one for one in made if one.video_id not in catalogue.forgotten]
    return _one_source_each(shop, made, rejected, unfinished), rejected, unfinished


def _raise_if_setup_is_wrong(outcome: Any) -> None:
    """Every video that is still waiting would meet the same."""
    if isinstance(outcome, SourceMade):
        for one in (outcome.outcome, outcome.planted):
            if isinstance(one, SetupWrong):
                raise WrongSetupError(one.why)


def _judge_blind(
    shop: Workshop, products: list[VideoProducts], out: Path
) -> tuple[list[VideoProducts], list[Unfinished]]:
    """Train the guesser on the first build that has enough questions, and have it judge them; later ones use it.

    Returns:
        The products, and what became of those that it could not judge now.
    """
    if shop.guesser is not None or shop.config.blind_is_served:
        return products, []
    real = [product for product in products if not product.is_calibration]
    first = sorted(real, key=lambda product: product.video_id)[: blind_guesser.MOST_VIDEOS]
    guesser = blind_guesser.train(
        sample for product in first for sample in read_records(product.questions / "samples.json", Sample))
    if guesser is None:
        return products, []
    guesser.save(out / blind_guesser.FILE_NAME)
    judging = replace(shop, guesser=guesser)
    judged = [(product, questions_task(judging, product.source, product.decoded, product.captions, product.clues))
              for product in products]
    return ([replace(product, questions=asked) for product, asked in judged if isinstance(asked, Path)],
            [asked for _, asked in judged if isinstance(asked, Unfinished)])


def _plan(shop: Workshop, count: int, fetches: int) -> None:
    """Tell how much there is to do; before it is fetched, everything may be a video."""
    for what, how_many in (("fetches", fetches), ("sources", count - fetches), ("videos", count)):
        shop.journal.say("planned", "run", what, count=how_many)


def _one_source_each(
    shop: Workshop, made: Sequence[SourceMade], rejected: list[Rejection], unfinished: list[Unfinished]
) -> list[VideoProducts]:
    """The products of each video under one source: of several with the same bytes the first by name.

    The others are rejected. Where another source was quicker, the stages are gone through again under the right
    name; all but those that depend on it are in the store already.
    """
    by_video: dict[str, list[SourceMade]] = {}
    for one in sorted(made, key=lambda one: (one.source.source, one.source.path)):
        by_video.setdefault(one.video_id, []).append(one)
    products: list[VideoProducts] = []
    for video_id, (first, *others) in by_video.items():
        outcome = next(one.outcome for one in (first, *others) if one.outcome is not None)
        if first.outcome is None and isinstance(outcome, VideoProducts):
            outcome = make_video(shop, first.source, video_id)
        planted = next((one.planted for one in (first, *others) if one.planted is not None), None)
        if first.outcome is None and isinstance(planted, VideoProducts):
            planted = make_planted(shop, first.source, video_id)
        for made_of_it in (outcome, planted):
            if isinstance(made_of_it, Rejection):
                rejected.append(replace(made_of_it, source=first.source.source))
            elif isinstance(made_of_it, Unfinished):
                unfinished.append(made_of_it)
            elif isinstance(made_of_it, SetupWrong):
                raise WrongSetupError(made_of_it.why)
            elif made_of_it is not None:
                products.append(made_of_it)
        rejected.extend(Rejection(
            stage=Stage.SOURCES, reason=Reason.SAME_BYTES, source=other.source.source, video_id=video_id,
            detail=f"the same file as {first.source.source}") for other in others)
    return products


@task(name="identify", task_run_name="identify {source.source}", **_TASK)
def identify_task(shop: Workshop, source: Source) -> str | Rejection | Unfinished:
    """The id of a source."""
    return _or_rejection(video_stages.identify_source, shop, source, Stage.PROBE)


@task(name="fetch", task_run_name="fetch {source.source}", **_TASK)
def fetch_task(shop: Workshop, source: Source) -> FetchedVideo | Listing | Rejection | Unfinished:
    """A source that lies elsewhere, brought here."""
    return _or_rejection(video_stages.fetch, shop, source, Stage.FETCH)


@task(name="video", task_run_name="{source.source}", cache_policy=NO_CACHE, persist_result=False)
def make_source(
    shop: Workshop, source: Source, claims: Claims
) -> SourceMade | SourcesFound | Rejection | Unfinished:
    """A source from its address to the questions about it."""
    if source.url is None:
        video_id = identify_task(shop, source)
        if isinstance(video_id, Rejection | Unfinished):
            return video_id
        return _made(shop, source, video_id, claims)
    fetched = fetch_task(shop, source)
    if isinstance(fetched, Rejection | Unfinished):
        return fetched
    if isinstance(fetched, Listing):
        return SourcesFound(*sources_in(source, fetched, shop.config.max_playlist))
    with fetched:
        return _made(shop, fetched.source, fetched.video_id, claims)


def _made(shop: Workshop, source: Source, video_id: str, claims: Claims) -> SourceMade:
    """A video, and its copy with planted needles where it is to have one."""
    if video_id in shop.forgotten or not claims.take(video_id, address(source)):
        shop.journal.say("done", "video", source.source)
        return SourceMade(source, video_id, None)
    outcome = make_video(shop, source, video_id)
    has_copy = isinstance(outcome, VideoProducts) and video_stages.id_of_planted(shop, video_id) is not None
    planted = make_planted(shop, source, video_id) if has_copy else None
    if isinstance(outcome, VideoProducts) and not isinstance(planted, Unfinished | SetupWrong):
        shop.journal.say("done", "video", source.source)
    return SourceMade(source, video_id, outcome, planted)


def make_video(shop: Workshop, source: Source, video_id: str) -> Outcome:
    """All stages of one video, one after another; each is a task of its own with a retry of its own."""
    return _stages(shop, source, video_id, decode_task(shop, source, video_id))


def make_planted(shop: Workshop, source: Source, video_id: str) -> Outcome:
    """The same for the copy of a video that has needles planted in it, under an id of its own."""
    copy_id = video_stages.id_of_planted(shop, video_id)
    return _stages(shop, source, copy_id, decode_planted_task(shop, source, copy_id))


def _stages(shop: Workshop, source: Source, video_id: str, decoded: Path | Rejection | Unfinished) -> Outcome:
    """What follows the decode."""
    if isinstance(decoded, Rejection | Unfinished):
        return decoded
    left_out = judge_task(shop, source, video_id, decoded)
    if left_out is not None:
        return left_out
    captioned = caption_task(shop, source, decoded)
    if isinstance(captioned, Unfinished | SetupWrong):
        return captioned
    clued = clues_task(shop, source, decoded, captioned)
    if isinstance(clued, Unfinished | SetupWrong):
        return clued
    asked = questions_task(shop, source, decoded, captioned, clued)
    if isinstance(asked, Unfinished | SetupWrong):
        return asked
    return VideoProducts(video_id, source, decoded, captioned, clued, asked)


@task(name="decode", task_run_name="decode {source.source}", **_TASK)
def decode_task(shop: Workshop, source: Source, video_id: str) -> Path | Rejection | Unfinished:
    """Frames, shots and measures."""
    return _or_rejection(video_stages.decode, shop, source, Stage.DECODE, video_id)


@task(name="decode-planted", task_run_name="decode {source.source} with needles", **_TASK)
def decode_planted_task(shop: Workshop, source: Source, video_id: str) -> Path | Rejection | Unfinished:
    """The same of a copy with planted needles."""
    return _or_rejection(video_stages.decode_planted, shop, source, Stage.DECODE, video_id)


@task(name="quality", task_run_name="quality {source.source}", **_TASK)
def judge_task(shop: Workshop, source: Source, video_id: str, decoded: Path) -> Rejection | None:
    """The quality gates."""
    return _or_rejection(video_stages.judge, shop, source, Stage.QUALITY, video_id, decoded)


@task(name="captions", task_run_name="captions {source.source}", **_TASK)
def caption_task(shop: Workshop, source: Source, decoded: Path) -> Path | Unfinished | SetupWrong:
    """What happens in each clip."""
    return _or_rejection(video_stages.caption, shop, source, Stage.CAPTIONS, decoded)


@task(name="clues", task_run_name="clues {source.source}", **_TASK)
def clues_task(shop: Workshop, source: Source, decoded: Path, captioned: Path) -> Path | Unfinished | SetupWrong:
    """What can be found again."""
    return _or_rejection(video_stages.clue, shop, source, Stage.CLUES, decoded, captioned)


@task(name="questions", task_run_name="questions {source.source}", **_TASK)
def questions_task(
    shop: Workshop, source: Source, decoded: Path, captioned: Path, clued: Path
) -> Path | Unfinished | SetupWrong:
    """Questions with their answers."""
    return _or_rejection(video_stages.question, shop, source, Stage.QUESTIONS, decoded, captioned, clued)


@task(name="shards", **_TASK)
def write_shards_task(
    shop: Workshop, products: list[VideoProducts], rejected: list[Rejection], out: Path
) -> dict[str, Any]:
    """The tables."""
    shop.journal.say("started", Stage.SHARDS, "data set")
    said = shop.config.without_machine() | {"captions": describe_files(shop.config.captions)}
    manifest = write_shards(shop.config, said, products, rejected, out, shop.store, shop.exclusion)
    shop.journal.say("done", Stage.SHARDS, "data set")
    return manifest


@task(name="report", **_TASK)
def report_task(shop: Workshop, out: Path) -> Path | None:
    """The page to look at; None where something else lies in its place.

    A part of the build, so that looking takes one click, and the page is never older than the data set and shows
    nothing that was forgotten since. It is bounded, so it costs seconds.
    """
    with shop.workers.borrow() as worker:
        return worker.run(refresh_page, out, _MOST_SAMPLES_ON_THE_PAGE, stall_seconds=_PAGE_WITHIN_S)


def _or_rejection(work: Callable[..., Any], shop: Workshop, source: Source, stage: Stage, *arguments: Any) -> Any:
    """A video rejected or left for later is an outcome, not a failure: Prefect neither retries it nor shows it red.

    On a full disk nothing more is begun: each further video would fail in its turn.
    """
    try:
        return work(shop, source, *arguments)
    except VideoRejectedError as left_out:
        shop.journal.say("rejected", stage, source.source, reason=left_out.rejection.reason)
        return left_out.rejection
    except (StoppedError, ServersDownError) as stopped:
        shop.journal.say("left", stage, source.source, why=str(stopped))
        return Unfinished(str(stopped))
    except OSError as error:
        if not is_no_room(error):
            raise
        shop.stopping.set()
        return Unfinished(f"there is no room left for its products ({os.strerror(error.errno)})")
    except ServerRefusesError as refused:
        return SetupWrong(str(refused))
