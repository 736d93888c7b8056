"""The flow `build-vico`: from sources to VICO shards.

One task per video and stage. Prefect retries a task once and keeps no results: what is done is known by
the work store under the output, so a flow that is run again goes on where it was.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import ProgressArtifact, publish_served, publish_summary
from flows.output_lock import only_run
from pipeline import video_stages
from pipeline.captioner_file import describe_files
from pipeline.captions import make_captioner
from pipeline.journal import Journal
from pipeline.killable_worker import WorkerPool
from pipeline.served_models import ServedModels, StoppedError
from pipeline.shards import write_shards
from pipeline.sources import find_sources
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import VideoRejectedError, Workshop
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, Source

_TASK = {"retries": 1, "retry_delay_seconds": 1, "cache_policy": NO_CACHE, "persist_result": False}


class BuildFailedError(Exception):
    """Videos failed by a fault of ours, twice each; their finished stages are kept."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build made."""

    out: Path
    manifest: dict[str, Any]
    unfinished: int = 0
    """Videos that are left for another run."""
    why_unfinished: str = ""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A video that has to wait for another run: no failure, and nothing to retry now."""

    why: str


@flow(name="build-vico", persist_result=False)
def build_vico(sources: list[str], out: str, config: BuildConfig | None = None) -> BuildResult:
    """Make a VICO data set from long videos.

    Args:
        sources: video files, folders, or lists of files (.txt, .csv, .jsonl).
        out: the output folder; a build that was stopped there is continued.
        config: everything that can be chosen.

    Raises:
        SourceError: a source does not exist; nothing was done.
        CaptionFileError: a caption file cannot be used; nothing was done.
        OutputInUseError: another build works on the output.
        BuildFailedError: a fault of ours; run it again to go on.
    """
    config = config or BuildConfig()
    target = Path(out)
    found = find_sources(sources)
    with only_run(target), WorkerPool(config.workers) as workers, served_models(config, target) as models:
        store = WorkStore(target)
        store.sweep()
        journal = Journal(store.root)
        journal.say("planned", "run", "sources", count=len(found))
        shop = Workshop(config, store, journal, workers, make_captioner(config, models), models)
        with ThreadPoolTaskRunner(max_workers=config.workers) as runner:
            products, rejected, unfinished = _run_videos(shop, found, runner)
        manifest = write_shards_task(shop, products, rejected, target)
        if models is not None:
            for role, counts in models.counts().items():
                journal.say("done", "requests", role, counts=counts)
            publish_served(manifest, models.counts())
        journal.say("done", "run", "data set")
        journal.close()
    publish_summary(target, manifest)
    return BuildResult(target, manifest, len(unfinished), unfinished[0].why if unfinished else "")


def served_models(config: BuildConfig, out: Path) -> AbstractContextManager[ServedModels | None]:
    """Whom a build asks; None for a build that asks nobody."""
    if "served" not in (config.captioner, config.orderer):
        return nullcontext()
    return ServedModels(config, out / ".work")


def _run_videos(
    shop: Workshop, found: Sequence[Source], runner: ThreadPoolTaskRunner
) -> tuple[list[VideoProducts], list[Rejection], list[Unfinished]]:
    """All videos, as many at a time as there are workers."""
    progress = ProgressArtifact("videos", len(found))
    rejected: list[Rejection] = []
    identified = [runner.submit(identify_task, {"shop": shop, "source": source}) for source in found]
    sources = _one_source_each(
        [(source, _outcome(future)) for source, future in zip(found, identified, strict=True)], rejected)
    shop.journal.say("planned", "run", "videos", count=len(sources))
    progress.advance(len(found) - len(sources))
    running = [
        runner.submit(make_video, {"shop": shop, "source": source, "video_id": video_id})
        for video_id, source in sources.items()]
    outcomes = []
    for future in running:
        outcomes.append(_outcome(future))
        progress.advance(1)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failed:
        raise BuildFailedError(f"{len(failed)} of {len(found)} videos failed; the first: {failed[0]!r}") from failed[0]
    rejected.extend(outcome for outcome in outcomes if isinstance(outcome, Rejection))
    unfinished = [outcome for outcome in outcomes if isinstance(outcome, Unfinished)]
    return [outcome for outcome in outcomes if isinstance(outcome, VideoProducts)], rejected, unfinished


def _one_source_each(
    identified: Sequence[tuple[Source, Any]], rejected: list[Rejection]
) -> dict[str, Source]:
    """The source of each video: of several with the same bytes the first by name, the others rejected."""
    sources: dict[str, Source] = {}
    for source, outcome in identified:
        if isinstance(outcome, Exception):
            raise BuildFailedError(f"{source.source}: {outcome!r}") from outcome
        if isinstance(outcome, Rejection):
            rejected.append(outcome)
        elif outcome in sources:
            rejected.append(Rejection(
                stage=Stage.SOURCES, reason=Reason.SAME_BYTES, source=source.source, video_id=outcome,
                detail=f"the same file as {sources[outcome].source}"))
        else:
            sources[outcome] = source
    return sources


def _outcome(future: PrefectFuture) -> Any:
    """What a task returned, or the exception that ended its second try."""
    return future.result(raise_on_failure=False)


@task(name="identify", task_run_name="identify {source.source}", **_TASK)
def identify_task(shop: Workshop, source: Source) -> str | Rejection:
    """The id of a source."""
    return _or_rejection(video_stages.identify_source, shop, source, Stage.PROBE)


@task(name="video", task_run_name="{source.source}", cache_policy=NO_CACHE, persist_result=False)
def make_video(shop: Workshop, source: Source, video_id: str) -> VideoProducts | Rejection | Unfinished:
    """All stages of one video, one after another; each is a task of its own with a retry of its own."""
    decoded = decode_task(shop, source, video_id)
    if isinstance(decoded, Rejection | Unfinished):
        return decoded
    captioned = caption_task(shop, source, decoded)
    if isinstance(captioned, Unfinished):
        return captioned
    clued = clues_task(shop, source, decoded, captioned)
    if isinstance(clued, Unfinished):
        return clued
    asked = questions_task(shop, source, decoded, captioned, clued)
    return VideoProducts(video_id, source, decoded, captioned, clued, asked)


@task(name="decode", task_run_name="decode {source.source}", **_TASK)
def decode_task(shop: Workshop, source: Source, video_id: str) -> Path | Rejection | Unfinished:
    """Frames, shots and measures."""
    return _or_rejection(video_stages.decode, shop, source, Stage.DECODE, video_id)


@task(name="captions", task_run_name="captions {source.source}", **_TASK)
def caption_task(shop: Workshop, source: Source, decoded: Path) -> Path | Unfinished:
    """What happens in each clip."""
    return _or_rejection(video_stages.caption, shop, source, Stage.CAPTIONS, decoded)


@task(name="clues", task_run_name="clues {source.source}", **_TASK)
def clues_task(shop: Workshop, source: Source, decoded: Path, captioned: Path) -> Path | Unfinished:
    """What can be found again."""
    return _or_rejection(video_stages.clue, shop, source, Stage.CLUES, decoded, captioned)


@task(name="questions", task_run_name="questions {source.source}", **_TASK)
def questions_task(shop: Workshop, source: Source, decoded: Path, captioned: Path, clued: Path) -> Path:
    """Questions with their answers."""
    return video_stages.question(shop, source, decoded, captioned, clued)


@task(name="shards", **_TASK)
def write_shards_task(
    shop: Workshop, products: list[VideoProducts], rejected: list[Rejection], out: Path
) -> dict[str, Any]:
    """The tables."""
    shop.journal.say("started", Stage.SHARDS, "data set")
    said = shop.config.without_machine() | {"captions": describe_files(shop.config.captions)}
    manifest = write_shards(shop.config, said, products, rejected, out, shop.store)
    shop.journal.say("done", Stage.SHARDS, "data set")
    return manifest


def _or_rejection(work: Callable[..., Any], shop: Workshop, source: Source, stage: Stage, *arguments: Any) -> Any:
    """A video rejected or left for later is an outcome, not a failure: Prefect neither retries it nor shows it red."""
    try:
        return work(shop, source, *arguments)
    except VideoRejectedError as left_out:
        shop.journal.say("rejected", stage, source.source, reason=left_out.rejection.reason)
        return left_out.rejection
    except StoppedError as stopped:
        return Unfinished(str(stopped))
