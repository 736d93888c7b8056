"""Whom a build asks, and where it keeps what they answer."""

from contextlib import AbstractContextManager, nullcontext

from pipeline.output_place import OutputPlace
from pipeline.served_models import ServedModels
from pipeline.shared_run import Stop
from schemas.build_config import BuildConfig


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
