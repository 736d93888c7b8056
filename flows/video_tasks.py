"""The tasks of one video: one for each stage, and one around them.

Prefect retries a stage's task once and keeps no results: what is done is known by the work store under the output.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.outcomes import Outcome, SetupWrong, SourceMade, SourcesFound, Unfinished
from flows.task_settings import STAGE_TASK
from pipeline import video_stages
from pipeline.catalogue import address
from pipeline.fetch_request import Listing
from pipeline.fetch_stage import FetchedVideo
from pipeline.llm_client import ServerRefusesError, ServersDownError
from pipeline.no_room import no_room_in
from pipeline.playlists import sources_in
from pipeline.shared_run import Claims
from pipeline.stopped import StoppedError
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import VideoRejectedError, Workshop
from schemas.reasons import Stage
from schemas.records import Rejection, Source


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


@task(name="identify", task_run_name="identify {source.source}", **STAGE_TASK)
def identify_task(shop: Workshop, source: Source) -> str | Rejection | Unfinished:
    """The id of a source."""
    return _or_rejection(video_stages.identify_source, shop, source, Stage.PROBE)


@task(name="fetch", task_run_name="fetch {source.source}", **STAGE_TASK)
def fetch_task(shop: Workshop, source: Source) -> FetchedVideo | Listing | Rejection | Unfinished:
    """A source that lies elsewhere, brought here."""
    return _or_rejection(video_stages.fetch, shop, source, Stage.FETCH)


@task(name="decode", task_run_name="decode {source.source}", **STAGE_TASK)
def decode_task(shop: Workshop, source: Source, video_id: str) -> Path | Rejection | Unfinished:
    """Frames, shots and measures."""
    return _or_rejection(video_stages.decode, shop, source, Stage.DECODE, video_id)


@task(name="decode-planted", task_run_name="decode {source.source} with needles", **STAGE_TASK)
def decode_planted_task(shop: Workshop, source: Source, video_id: str) -> Path | Rejection | Unfinished:
    """The same of a copy with planted needles."""
    return _or_rejection(video_stages.decode_planted, shop, source, Stage.DECODE, video_id)


@task(name="quality", task_run_name="quality {source.source}", **STAGE_TASK)
def judge_task(shop: Workshop, source: Source, video_id: str, decoded: Path) -> Rejection | None:
    """The quality gates."""
    return _or_rejection(video_stages.judge, shop, source, Stage.QUALITY, video_id, decoded)


@task(name="captions", task_run_name="captions {source.source}", **STAGE_TASK)
def caption_task(shop: Workshop, source: Source, decoded: Path) -> Path | Unfinished | SetupWrong:
    """What happens in each clip."""
    return _or_rejection(video_stages.caption, shop, source, Stage.CAPTIONS, decoded)


@task(name="clues", task_run_name="clues {source.source}", **STAGE_TASK)
def clues_task(shop: Workshop, source: Source, decoded: Path, captioned: Path) -> Path | Unfinished | SetupWrong:
    """What can be found again."""
    return _or_rejection(video_stages.clue, shop, source, Stage.CLUES, decoded, captioned)


@task(name="questions", task_run_name="questions {source.source}", **STAGE_TASK)
def questions_task(
    shop: Workshop, source: Source, decoded: Path, captioned: Path, clued: Path
) -> Path | Unfinished | SetupWrong:
    """Questions with their answers."""
    return _or_rejection(video_stages.question, shop, source, Stage.QUESTIONS, decoded, captioned, clued)


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
        no_room = no_room_in(error)
        if no_room is None:
            raise
        shop.stopping.set()
        return Unfinished(f"there is no room left for its products ({os.strerror(no_room.errno)})")
    except ServerRefusesError as refused:
        return SetupWrong(str(refused))
