"""Why each stage of each video would run again: what `build-vico --explain` prints. Nothing is run or written.

The stages themselves are asked, with a store that refuses to write: the first one that wants to has to be run, and
with it all that follow. Why, is seen by comparing what it would be made from with what earlier products of the same
video were made from.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import blind_guesser, video_stages
from pipeline.blind_guesser import BuiltInGuesser
from pipeline.bucket_shards import bucket_inputs, into_buckets
from pipeline.captions import make_captioner
from pipeline.catalogue import Catalogue, address
from pipeline.clip_files import clip_files_inputs
from pipeline.exclusion import load_exclusion
from pipeline.fetch_stage import Fetching
from pipeline.journal import Event, Journal
from pipeline.killable_worker import WorkerPool
from pipeline.table_rows import VideoProducts
from pipeline.video_stages import VideoRejectedError, Workshop
from pipeline.work_store import INPUTS, Inputs, WorkStore, key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Stage
from schemas.records import Source

STAGES = (Stage.FETCH, Stage.PROBE, Stage.DECODE, Stage.CAPTIONS, Stage.CLUES, Stage.QUESTIONS)
FOLLOWS = "it follows from "
"""A stage that would run for no other reason than that an earlier one does; the name of that one comes after it."""
_ABOUT = ("video", "path")
"""Inputs that say what a product is about, not how it is made."""
_IN_WORDS = {
    "captioner_reads": "what the captioner goes by", "orderer_reads": "what the orderer goes by",
    "picture_check_reads": "what the picture check goes by", "blind_reads": "what the blind check goes by"}
_SHORT = 60
"""A longer value is said to have changed, and not shown."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A source: the stages that would run with the reason of each, or why it is left out.

    The stages of a copy with planted needles are named so.
    """

    source: str
    would_run: dict[str, str]
    left_out: str = ""


class WouldRunError(Exception):
    """A stage has no product; `why` where its inputs do not tell."""

    def __init__(self, stage: str, inputs: Inputs, why: str = "") -> None:
        super().__init__(stage)
        self.stage, self.inputs, self.why = stage, inputs, why


class _LookingStore(WorkStore):
    def write(self, stage: str, key: str, inputs: Inputs | None = None) -> AbstractContextManager[Path]:
        raise WouldRunError(stage, inputs or {})


class _NoJournal(Journal):
    def __init__(self) -> None:
        pass

    def say(self, event: Event, stage: str, item: str, **more: Any) -> None:
        pass


class Explainer:
    """Looks at an output with the choices of a build."""

    def __init__(self, config: BuildConfig, out: Path, catalogue: Catalogue) -> None:
        """
        Args:
            config: the choices.
            out: the output folder.
            catalogue: what is known of its sources.

        Raises:
            CaptionFileError: a caption file cannot be used.
            ExclusionListError: a list of test videos cannot be used.
        """
        store, journal = _LookingStore(out), _NoJournal()
        self._config = config
        config = config.model_copy(update={"keep_clips": False})  # clip files are asked about beside the stages
        self._shop = Workshop(
            config, store, journal, WorkerPool(0), make_captioner(config),
            guesser=BuiltInGuesser.load(out / blind_guesser.FILE_NAME), exclusion=load_exclusion(config, out),
            known_ids=catalogue.video_ids, forgotten=catalogue.forgotten)
        self._before = _Before(store.root)
        self._products: list[VideoProducts] = []
        self._first: dict[str, str] = {}

    def explain(self, sources: Iterable[Source]) -> Iterator[Explained]:
        """What each source would have done to it."""
        for source in sources:
            try:
                here, video_id = self._look_for_video(source)
            except VideoRejectedError as left_out:
                yield Explained(source.source, {}, left_out.rejection.detail)
            except WouldRunError as first:
                yield Explained(source.source, self._all_from(first, source))
            else:
                yield self._explain_video(here, video_id)

    def _explain_video(self, source: Source, video_id: str) -> Explained:
        """A video, and its copy with planted needles where it is to have one."""
        if video_id in self._shop.forgotten:
            return Explained(source.source, {}, "the video was forgotten")
        if video_id in self._first:
            return Explained(source.source, {}, f"the same file as {self._first[video_id]}")
        self._first[video_id] = source.source
        try:
            would_run = self._would_run(source, video_id, video_stages.decode)
        except VideoRejectedError as left_out:
            return Explained(source.source, {}, left_out.rejection.detail)
        copy_id = video_stages.id_of_planted(self._shop, video_id)
        if copy_id is not None:
            with contextlib.suppress(VideoRejectedError):
                of_copy = self._would_run(source, copy_id, video_stages.decode_planted)
                would_run |= {f"{stage} of the copy with needles": why for stage, why in of_copy.items()}
        return Explained(source.source, would_run)

    def _would_run(
        self, source: Source, video_id: str, decode: Callable[[Workshop, Source, str], Path]
    ) -> dict[str, str]:
        """The stages from the decode on; a video for which none has to run counts to the shards."""
        clip_files = self._clip_files(video_id, is_planted=decode is video_stages.decode_planted)
        try:
            self._products.append(self._look(source, video_id, decode))
        except WouldRunError as first:
            return self._all_from(first, source) | clip_files
        return clip_files

    def _clip_files(self, video_id: str, is_planted: bool) -> dict[str, str]:
        """Nothing follows from them, and they follow from no stage."""
        inputs = clip_files_inputs(self._config, video_id, is_planted)
        if not self._config.keep_clips or self._shop.store.find(Stage.CLIP_FILES, key_of(inputs)) is not None:
            return {}
        return {Stage.CLIP_FILES: self._before.why(Stage.CLIP_FILES, inputs)}

    def _all_from(self, first: "WouldRunError", source: Source) -> dict[str, str]:
        first_at = STAGES.index(Stage(first.stage))
        return {first.stage: first.why or self._before.why(first.stage, first.inputs)} | {
            stage: FOLLOWS + first.stage for stage in STAGES[first_at + 1:]
            if stage is not Stage.PROBE or source.url is None}

    def shards(self) -> dict[str, str]:
        """The buckets whose shards would be written, as far as their videos are finished, each with the reason.

        Those of videos that would be worked on follow, and are not named. To be asked after all sources have been
        explained.
        """
        told = {}
        for (split, bucket), videos in into_buckets(self._shop.config, self._products).items():
            inputs = bucket_inputs(self._shop.config, videos)
            if self._shop.store.find(Stage.SHARDS, key_of(inputs)) is None:
                told[f"{split}-{bucket:05d}"] = f"not written yet with these products of its videos ({len(videos)})"
        return told

    def _look_for_video(self, source: Source) -> tuple[Source, str]:
        if source.url is None:
            return source, video_stages.identify_source(self._shop, source)
        return self._look_for_fetched(source)

    def _look(
        self, source: Source, video_id: str, decode: Callable[[Workshop, Source, str], Path]
    ) -> VideoProducts:
        shop = self._shop
        decoded = decode(shop, source, video_id)
        video_stages.judge(shop, source, video_id, decoded)
        captioned = video_stages.caption(shop, source, decoded)
        clued = video_stages.clue(shop, source, decoded, captioned)
        asked = video_stages.question(shop, source, decoded, captioned, clued)
        return VideoProducts(video_id, source, decoded, captioned, clued, asked)

    def _look_for_fetched(self, source: Source) -> tuple[Source, str]:
        shop = self._shop
        with Fetching(shop.config, shop.store, shop.journal) as fetching:
            fetched = video_stages.find_fetched(replace(shop, fetching=fetching), source)
        if fetched is None:
            raise WouldRunError(Stage.FETCH, {}, (
                "its bytes are needed and are not in the cache any more" if address(source) in shop.known_ids
                else "it was not fetched yet, or is a list, which is read anew each time"))
        with fetched:
            return fetched.source, fetched.video_id


class _Before:
    """What the products of an output were made from."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._made: dict[str, dict[Any, list[Inputs]]] = {}

    def why(self, stage: str, inputs: Inputs) -> str:
        """Why a product with these inputs is not there."""
        earlier = self._of_stage(stage).get(_about(inputs), [])
        if not earlier:
            return "it was not made yet"
        nearest = min((_differences(before, inputs) for before in earlier), key=len)
        return "; ".join(nearest) or "it was removed"

    def _of_stage(self, stage: str) -> dict[Any, list[Inputs]]:
        if stage not in self._made:
            about: dict[Any, list[Inputs]] = {}
            for path in sorted((self._work / stage).glob(f"*/{INPUTS}")):
                made_from = json.loads(path.read_text(encoding="utf-8"))
                about.setdefault(_about(made_from), []).append(made_from)
            self._made[stage] = about
        return self._made[stage]


def _about(inputs: Inputs) -> tuple[Any, ...]:
    return tuple(inputs.get(name) for name in _ABOUT)


def _differences(before: Inputs, now: Inputs) -> list[str]:
    now = json.loads(json.dumps(now))
    return [_difference(name, before.get(name), now.get(name))
            for name in sorted({*before, *now}) if before.get(name) != now.get(name)]


def _difference(name: str, before: Any, now: Any) -> str:
    if name in STAGES:
        return f"another product of {name}"
    if name == "changed_ns":
        return "the file was written to"
    name = _IN_WORDS.get(name, name)
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        (before, now), *more = [pair for pair in zip(before, now, strict=True) if pair[0] != pair[1]]
        if not more and max(len(str(before)), len(str(now))) <= _SHORT:
            return f"{name}: {now}, was {before}"
    elif max(len(str(before)), len(str(now))) <= _SHORT:
        return f"{name} is {now}, was {before}"
    return f"{name} changed"
