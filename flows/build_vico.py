"""The flow `build-vico`: from sources to VICO shards.

What is done is known by the work store under the output, so a flow that is run again goes on where it was.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow

from flows.artifacts import publish_calibration, publish_served, publish_summary
from flows.asked_models import served_models
from flows.blind_judging import judge_blind
from flows.crew import crew_of
from flows.ctrl_c import ctrl_c_stops
from flows.data_set_tasks import report_task, write_shards_task
from flows.outcomes import WrongSetupError
from flows.run_videos import run_videos, say_planned
from pipeline import blind_guesser, needles
from pipeline.blind_guesser import BuiltInGuesser
from pipeline.build_request import with_fixed_buckets, write_request
from pipeline.captions import make_captioner
from pipeline.catalogue import forget, read_catalogue, read_under_way, write_under_way
from pipeline.exclusion import load_exclusion
from pipeline.fetch_stage import Fetching
from pipeline.journal import Journal
from pipeline.killable_worker import WorkerPool
from pipeline.output_lock import only_run
from pipeline.output_place import catch_up, fault_of_clip_files, place_of
from pipeline.publish import commit
from pipeline.remaking import drop_from_stage, drop_videos
from pipeline.sources import find_sources
from pipeline.video_stages import Workshop
from schemas.build_config import BuildConfig
from schemas.reasons import Stage


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
        say_planned(shop, len(found), sum(source.url is not None for source in found))
        with crew_of(shop, place, is_remote) as crew:
            products, rejected, unfinished = run_videos(shop, found, crew, catalogue)
        if not unfinished:
            products, unfinished = judge_blind(shop, products, target)
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
