"""What a build would take, reckoned before any money is spent: what `build-vico --plan` prints.

Lengths are read from the containers' headers. CPU time and disk follow from `measured_rates.yaml`, which says how it
was measured, or from a file like it; what a model server answers in a second nobody but its owner can know, and must
be given.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import av
import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipeline.chapters import plan_chapters
from pipeline.killable_worker import KillableWorker, Report, WorkerCrashedError, WorkerStalledError
from pipeline.prompt_files import load_prompt
from pipeline.served_models import EMBEDDED_AT_ONCE
from schemas.build_config import BuildConfig
from schemas.records import Source

_RATES = Path(__file__).with_name("measured_rates.yaml")
_BYTES_PER_TOKEN = 4.0
"""Of English, as tokenizers of today cut it; only the prompts' own words are reckoned by it."""
_SENTENCES = 4
"""Of a caption."""
_CLUE_TOKENS = 24
"""A clue of a dozen words, its place and the JSON around them."""


class Rates(BaseModel):
    """What a plan reckons with."""

    model_config = ConfigDict(extra="forbid")

    measured_by: str
    measured_on: str
    decode_cpu_s_per_megapixel: Annotated[float, Field(gt=0)]
    other_cpu_s_per_video_s: Annotated[float, Field(gt=0)]
    work_bytes_per_video_s: Annotated[float, Field(gt=0)]
    shard_bytes_per_video_s: Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Length:
    """A video as its header describes it."""

    seconds: float
    pixels_per_second: float


@dataclass(frozen=True, slots=True)
class Assumed:
    """What cannot be measured here."""

    servers: int
    server_requests_per_second: float | None
    """None: not given, so no time of the servers can be told."""
    image_tokens: int
    answer_tokens: int
    minutes_of_unknown: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one role asks of its servers; prices per million tokens."""

    requests: int
    prompt_tokens: int
    answer_tokens: int
    price_in: float
    price_out: float

    @property
    def cost(self) -> float:
        return (self.prompt_tokens * self.price_in + self.answer_tokens * self.price_out) / 1e6


@dataclass(frozen=True, slots=True)
class Plan:
    """The reckoning. Bytes, seconds, tokens."""

    videos: int
    unknown: int
    """Videos whose length was assumed."""
    hours: float
    clips: int
    requests: int
    prompt_tokens: int
    answer_tokens: int
    cost: float
    disk_bytes: float
    workers: int
    cpu_s: float
    workers_s: float
    servers: int
    servers_s: float | None
    wall_s: float | None
    """The slower of the two, which work at the same time; None where the servers' rate is needed and not given."""


class RatesError(Exception):
    """A file of rates cannot be used."""


def read_rates(path: Path | None = None) -> Rates:
    """The rates of a file; those that were measured with this version where none is named.

    Raises:
        RatesError: the file is missing, or says something else.
    """
    try:
        return Rates.model_validate(yaml.safe_load((path or _RATES).read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RatesError(f"{path or _RATES}: {error}") from error


def lengths(sources: Sequence[Source], stall_seconds: float) -> list[Length | None]:
    """The length of each source; None where it is not here or its header tells none."""
    worker = KillableWorker()
    try:
        return [_length(worker, source, stall_seconds) for source in sources]
    finally:
        worker.close()


def make_plan(config: BuildConfig, found: Sequence[Length | None], rates: Rates, assumed: Assumed) -> Plan:
    """Reckon.

    Args:
        config: the choices of the build.
        found: the lengths of its sources.
        rates: what was measured.
        assumed: what was not.
    """
    usual = Length(assumed.minutes_of_unknown * 60, 1280 * 720 * 24)
    known = [length or usual for length in found]
    seconds = math.fsum(length.seconds for length in known)
    clips = [_clips(config, length.seconds) for length in known]
    asked = [_captions(config, clips, assumed), _orders(config, clips, assumed), _embeddings(config, clips, assumed)]
    cpu_s = math.fsum(length.seconds * length.pixels_per_second for length in known) / 1e6 \
        * rates.decode_cpu_s_per_megapixel + seconds * rates.other_cpu_s_per_video_s
    requests = sum(one.requests for one in asked)
    per_second = assumed.server_requests_per_second
    servers_s = 0.0 if not requests else requests / per_second / assumed.servers if per_second else None
    workers_s = cpu_s / config.workers
    return Plan(
        videos=len(known), unknown=sum(length is None for length in found), hours=seconds / 3600, clips=sum(clips),
        requests=requests, prompt_tokens=sum(one.prompt_tokens for one in asked),
        answer_tokens=sum(one.answer_tokens for one in asked), cost=sum(one.cost for one in asked),
        disk_bytes=seconds * (rates.work_bytes_per_video_s + rates.shard_bytes_per_video_s), workers=config.workers,
        cpu_s=cpu_s, workers_s=workers_s, servers=assumed.servers, servers_s=servers_s,
        wall_s=None if servers_s is None else max(workers_s, servers_s))


def as_text(plan: Plan, rates: Rates) -> str:
    """The plan for people."""
    servers = "unknown: give --server-requests-per-second" if plan.servers_s is None else _time(plan.servers_s)
    lines = [
        f"videos    {plan.videos:,}" + (f", {plan.unknown:,} of them of assumed length" if plan.unknown else ""),
        f"hours     {plan.hours:,.2f}",
        f"clips     {plan.clips:,}",
        f"requests  {plan.requests:,}",
        f"tokens    {plan.prompt_tokens:,} in, {plan.answer_tokens:,} out",
        f"cost      {plan.cost:,.2f}",
        f"disk      {plan.disk_bytes / 1e9:,.2f} GB",
        f"wall time {'unknown' if plan.wall_s is None else _time(plan.wall_s)}",
        f"  workers {_time(plan.workers_s)} with {plan.workers}, {_time(plan.cpu_s)} of one core",
    ]
    if plan.requests:
        lines.append(f"  servers {servers} with {plan.servers}")
    return "\n".join([*lines, f"reckoned with: {rates.measured_on}"])


def as_row(plan: Plan) -> dict[str, float | int | None]:
    """The plan for programs."""
    return asdict(plan)


def read_length(_report: Report, path: str) -> Length | None:
    """What the header of a file says of its picture."""
    with av.open(path, metadata_errors="replace", options={"protocol_whitelist": "file"}) as container:
        if not container.streams.video:
            return None
        stream = container.streams.video[0]
        seconds = container.duration / av.time_base if container.duration else 0.0
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        return Length(seconds, stream.width * stream.height * rate) if seconds > 0 else None


def _length(worker: KillableWorker, source: Source, stall_seconds: float) -> Length | None:
    if source.url is not None:
        return None
    try:
        return worker.run(read_length, source.path, stall_seconds=stall_seconds)
    except (WorkerStalledError, WorkerCrashedError, av.FFmpegError, OSError):
        return None  # no header to read; the plan says of how many videos it had to assume the length


def _clips(config: BuildConfig, seconds: float) -> int:
    whole, rest = divmod(seconds, config.clip_seconds)
    return int(whole) + (rest >= config.min_last_clip_seconds)


def _captions(config: BuildConfig, clips: Sequence[int], assumed: Assumed) -> _Asked:
    """A request per clip, with its pictures."""
    count = sum(clips) if config.captioner == "served" else 0
    tokens_in = count * (config.caption_frames * assumed.image_tokens + _prompt_tokens("caption.v1"))
    return _Asked(count, tokens_in, count * assumed.answer_tokens, config.caption_price_in, config.caption_price_out)


def _orders(config: BuildConfig, clips: Sequence[int], assumed: Assumed) -> _Asked:
    """A request per chapter, with the captions of its clips; a clue's line for every clip is the most it answers."""
    if config.orderer != "served":
        return _Asked(0, 0, 0, 0.0, 0.0)
    own = _prompt_tokens("clue_order.v1")
    room = max(assumed.answer_tokens, config.order_context_tokens - own)
    chapters = [len(chapter) for count in clips
                for chapter in plan_chapters([assumed.answer_tokens] * count, room, config.chapter_clips)]
    return _Asked(
        len(chapters), len(chapters) * own + sum(chapters) * assumed.answer_tokens, sum(chapters) * _CLUE_TOKENS,
        config.order_price_in, config.order_price_out)


def _embeddings(config: BuildConfig, clips: Sequence[int], assumed: Assumed) -> _Asked:
    """Every sentence of a caption and every clue, as many to a request as it takes; a clue is a sentence in itself."""
    if config.embedding_model is None:
        return _Asked(0, 0, 0, 0.0, 0.0)
    texts = [count * (1 + _SENTENCES) for count in clips]
    tokens = sum(clips) * (assumed.answer_tokens + _CLUE_TOKENS)
    return _Asked(sum(-(-count // EMBEDDED_AT_ONCE) for count in texts), tokens, 0, config.embedding_price, 0.0)


def _prompt_tokens(name: str) -> int:
    return round(len(load_prompt(name).text.encode()) / _BYTES_PER_TOKEN)


def _time(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"
