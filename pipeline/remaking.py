"""Products that are taken out of the store so that they are made again, or never again."""

import json
from collections.abc import Container, Iterator
from pathlib import Path

from pipeline.work_store import INPUTS, WorkStore
from schemas.reasons import Stage


def drop_from_stage(store: WorkStore, stage: Stage) -> None:
    """Drop the products of a stage and of all that follow it. Stored answers of models stay: they are inputs."""
    stages = list(Stage)
    # The last first: what is left when it is killed half way fits together.
    for later in reversed(stages[stages.index(stage):]):
        store.discard([store.root / later])


def drop_videos(store: WorkStore, video_ids: Container[str]) -> None:
    """Drop what the stages made of some videos, their pictures above all, and the bytes that were fetched."""
    store.discard(product for stage in Stage for product in _about(store, stage, video_ids))
    for path in (store.root / "cache" / "videos").glob("*/*"):
        if path.name in video_ids:
            path.unlink()


def _about(store: WorkStore, stage: Stage, video_ids: Container[str]) -> Iterator[Path]:
    for path in (store.root / stage).glob(f"*/{INPUTS}"):
        if json.loads(path.read_text(encoding="utf-8")).get("video") in video_ids:
            yield path.parent
