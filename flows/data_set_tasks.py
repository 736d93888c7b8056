"""The tasks that follow when all videos are made: the shards, and the page that shows them."""

from pathlib import Path
from typing import Any

from prefect import task

from flows.task_settings import STAGE_TASK
from pipeline.captioner_file import describe_files
from pipeline.report.refresh import refresh_page
from pipeline.shards import write_shards
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import Workshop
from schemas.reasons import Stage
from schemas.records import Rejection

_MOST_SAMPLES_ON_THE_PAGE = 1_000
_PAGE_WITHIN_S = 3600.0


@task(name="shards", **STAGE_TASK)
def write_shards_task(
    shop: Workshop, products: list[VideoProducts], rejected: list[Rejection], out: Path
) -> dict[str, Any]:
    """The tables."""
    shop.journal.say("started", Stage.SHARDS, "data set")
    said = shop.config.without_machine() | {"captions": describe_files(shop.config.captions)}
    manifest = write_shards(shop.config, said, products, rejected, out, shop.store, shop.exclusion)
    shop.journal.say("done", Stage.SHARDS, "data set")
    return manifest


@task(name="report", **STAGE_TASK)
def report_task(shop: Workshop, out: Path) -> Path | None:
    """The page to look at; None where something else lies in its place.

    A part of the build, so that looking takes one click, and the page is never older than the data set and shows
    nothing that was forgotten since. It is bounded, so it costs seconds.
    """
    with shop.workers.borrow() as worker:
        return worker.run(refresh_page, out, _MOST_SAMPLES_ON_THE_PAGE, stall_seconds=_PAGE_WITHIN_S)
