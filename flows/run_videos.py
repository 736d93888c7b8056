"""All videos of a build: given to the crew, and what comes back sorted into what is made, rejected and left."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flows.artifacts import ProgressArtifact
from flows.crew import Crew
from flows.outcomes import BuildFailedError, SetupWrong, SourceMade, SourcesFound, Unfinished, WrongSetupError
from flows.video_tasks import make_planted, make_video
from pipeline.catalogue import Catalogue, address, write_catalogue
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import Workshop
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, Source


def run_videos(
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
            say_planned(shop, len(outcomes) + len(waiting), len(named - {None}))
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


def say_planned(shop: Workshop, count: int, fetches: int) -> None:
    """Tell how much there is to do; before it is fetched, everything may be a video."""
    for what, how_many in (("fetches", fetches), ("sources", count - fetches), ("videos", count)):
        shop.journal.say("planned", "run", what, count=how_many)


def _raise_if_setup_is_wrong(outcome: Any) -> None:
    """Every video that is still waiting would meet the same."""
    if isinstance(outcome, SourceMade):
        for one in (outcome.outcome, outcome.planted):
            if isinstance(one, SetupWrong):
                raise WrongSetupError(one.why)


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
