"""Products that are taken out of the store so that they are made again, or never again."""

from collections.abc import Set

from pipeline.work_store import WorkStore
from schemas.reasons import Stage


def drop_from_stage(store: WorkStore, stage: Stage) -> None:
    """Drop the products of a stage and of all that follow it. Stored answers of models stay: they are inputs."""
    stages = list(Stage)
    # The last first: what is left when it is killed half way fits together.
    for later in reversed(stages[stages.index(stage):]):
        store.discard([store.root / later])


def drop_videos(store: WorkStore, video_ids: Set[str]) -> None:
    """Drop what the stages made of some videos, their pictures above all, and the bytes that were fetched."""
    store.discard(product for stage in Stage for product in store.about(stage, video_ids))
    for path in (store.root / "cache" / "videos").glob("*/*"):
        if path.name in video_ids:
            path.unlink()
