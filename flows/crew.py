"""Who makes the videos of a build: threads of this process, or the nodes of a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.video_tasks import make_source
from pipeline.output_place import OutputPlace
from pipeline.shared_run import ThreadClaims
from pipeline.video_stages import Workshop
from schemas.records import Source


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
def crew_of(shop: Workshop, place: OutputPlace, is_remote: bool) -> Iterator[Crew]:
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
