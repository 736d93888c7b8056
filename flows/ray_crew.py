"""Videos made on the nodes of a Ray cluster.

A node gets a source and gives back what became of it. Finished products lie where every node sees them, so a node that
dies takes nothing with it that was finished: Ray gives its sources to other nodes, which go on from there. A worker
that was thought dead may come to an end beside its successor; whichever of them creates a product first has made it.
"""

import functools
import pickle
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options

from flows.asked_models import served_models
from flows.outcomes import SourceMade
from flows.video_tasks import make_source
from pipeline.blind_guesser import BuiltInGuesser
from pipeline.captioner import Captioner
from pipeline.captions import make_captioner
from pipeline.exclusion import Exclusion
from pipeline.fetch_stage import Fetching
from pipeline.journal import GatheredJournal
from pipeline.killable_worker import WorkerPool
from pipeline.object_work_store import ObjectWorkStore
from pipeline.output_place import OutputPlace, place_of
from pipeline.shared_run import SharedClaims, SharedStop, end_run
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import Workshop
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.records import Source

_LOOK_EVERY_S = 1.0
_LOST_NODES = 5
"""So often may a video lose the node that makes it; one that kills its node would else kill them all."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a node needs to work on a build."""

    config: BuildConfig
    out: str
    run_id: str
    captioner: Captioner | None
    """None where a served model captions: each node asks for itself."""
    guesser: BuiltInGuesser | None
    exclusion: Exclusion
    known_ids: dict[str, str]
    forgotten: frozenset[str]


@dataclass(frozen=True, slots=True)
class MadeOnNode:
    """What became of a source, as the node says it."""

    outcome: Any
    root: Path
    """Where the node keeps its copies of products."""
    said: list[dict[str, Any]]
    """Lines for the journal."""


class RayCrew:
    """Makes videos on a Ray cluster; see `flows.crew.Crew`."""

    def __init__(self, shop: Workshop, runner: RayTaskRunner, recipe: "ray.ObjectRef", stop: SharedStop) -> None:
        self._shop, self._runner, self._recipe, self._stop = shop, runner, recipe, stop

    def submit(self, source: Source) -> PrefectFuture:
        """See `Crew`."""
        return self._runner.submit(make_source_on_node, {"recipe": self._recipe, "source": source})

    def outcome(self, future: PrefectFuture) -> Any:
        """See `Crew`. Meanwhile the nodes hear of a wish to stop, whoever has it."""
        while not ray.wait([future.wrapped_future], timeout=_LOOK_EVERY_S)[0]:
            if self._shop.stopping.is_set():
                self._stop.set()
            elif self._stop.is_set():
                self._shop.stopping.set()
        future.wait()  # a lost node becomes a crashed state here
        made = future.result(raise_on_failure=False)
        if not isinstance(made, MadeOnNode):
            return made
        for line in made.said:
            self._shop.journal.say(**line)
        return _as_seen_here(made.outcome, made.root, self._shop.store)


@contextmanager
def ray_crew(shop: Workshop, place: OutputPlace) -> Iterator[RayCrew]:
    """Join the cluster that the build's choices name, for the time of the block."""
    config, shared, run_id = shop.config, place.shared(), uuid.uuid4().hex
    end_run(shared)
    recipe = Recipe(
        config, _out_for_nodes(place), run_id, None if config.captioner == "served" else shop.captioner, shop.guesser,
        shop.exclusion, dict(shop.known_ids), shop.forgotten)
    threads = config.decode_threads or 1
    with RayTaskRunner(address=config.ray, init_kwargs={"log_to_driver": False, "logging_level": "error"}) as runner, \
            remote_options(num_cpus=threads, max_retries=_LOST_NODES):
        yield RayCrew(shop, runner, ray.put(pickle.dumps(recipe)), SharedStop(shared, run_id))
    end_run(shared)


def _out_for_nodes(place: OutputPlace) -> str:
    """The output as every node finds it."""
    return place.address if place.objects is not None else str(place.folder.absolute())


@task(name="video", task_run_name="{source.source}", cache_policy=NO_CACHE, persist_result=False)
def make_source_on_node(recipe: bytes, source: Source) -> MadeOnNode:
    """A source from its address to the questions about it, wherever this runs."""
    shop, claims = open_workshop(recipe)
    outcome = make_source.fn(shop, source, claims)
    return MadeOnNode(outcome, shop.store.root, shop.journal.take())


@functools.lru_cache(maxsize=1)
def open_workshop(recipe: bytes) -> tuple[Workshop, SharedClaims]:
    """The workshop of this process: Ray gives a process one video after another, and one at a time.

    Nothing closes it: its threads and processes end with the process, and what is finished is on the disk at once.
    """
    asked: Recipe = pickle.loads(recipe)  # from the build that asked for this, through the cluster
    place = place_of(asked.out, asked.config.scratch)
    own = place.own / ".work"
    config = asked.config.model_copy(update={
        "decode_threads": asked.config.decode_threads or 1, "cache": asked.config.cache or str(own / "cache")})
    shared, store, journal = place.shared(), place.store(), GatheredJournal()
    stop = SharedStop(shared, asked.run_id)
    models = served_models(config, place, stop).__enter__()
    shop = Workshop(
        config, store, journal, WorkerPool(1), asked.captioner or make_captioner(config, models), models,
        Fetching(config, store, journal), asked.guesser, asked.exclusion, stop, asked.known_ids, asked.forgotten)
    return shop, SharedClaims(shared, asked.run_id)


def _as_seen_here(outcome: Any, root: Path, store: WorkStore) -> Any:
    """The same with the paths of this machine's copies of the products, where each machine has copies of its own."""
    if not (isinstance(outcome, SourceMade) and isinstance(store, ObjectWorkStore)):
        return outcome

    def here(path: Path) -> Path:
        stage, key = path.relative_to(root).parts[:2]
        return store.find(stage, key) / Path(*path.relative_to(root).parts[2:])

    def of_video(one: Any) -> Any:
        if not isinstance(one, VideoProducts):
            return one
        return VideoProducts(one.video_id, of_source(one.source), here(one.decoded), here(one.captions),
                             here(one.clues), here(one.questions))

    def of_source(source: Source) -> Source:
        files = tuple(replace(file, path=str(here(Path(file.path)))) if Path(file.path).is_relative_to(root) else file
                      for file in source.subtitle_files)
        return replace(source, subtitle_files=files)

    return SourceMade(of_source(outcome.source), outcome.video_id, of_video(outcome.outcome), of_video(outcome.planted))
