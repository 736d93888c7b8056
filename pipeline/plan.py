"""What a build would take, reckoned before any money is spent: what `build-vico --plan` prints.

Lengths are read from the containers' headers. CPU time and disk follow from `measured_rates.yaml`, which says how it
was measured, or from a file like it; what a model server answers in a second nobody but its owner can know, and must
be given.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import av
import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipeline.killable_worker import KillableWorker, Report, WorkerCrashedError, WorkerStalledError
from pipeline.needle_plan import needle_count
from pipeline.plan_requests import RequestSizes, caption_tokens, requests_of
from schemas.build_config import BuildConfig
from schemas.records import Source

_RATES = Path(__file__).with_name("measured_rates.yaml")


class Rates(BaseModel):
    """What a plan reckons with."""

    model_config = ConfigDict(extra="forbid")

    measured_by: str
    measured_on: str
    decode_cpu_s_per_megapixel: Annotated[float, Field(gt=0)]
    other_cpu_s_per_video_s: Annotated[float, Field(gt=0)]
    work_bytes_per_video_s: Annotated[float, Field(gt=0)]
    shard_bytes_per_video_s: Annotated[float, Field(gt=0)]
    clip_files_cpu_s_per_megapixel: Annotated[float, Field(gt=0)]
    clip_files_bytes_per_megapixel: Annotated[float, Field(gt=0)]

    def keeping_clips(self, megapixels_per_s: float) -> "Rates":
        """The rates of a build that also writes clip files, of videos with so many pixels on the mean."""
        return self.model_copy(update={
            "decode_cpu_s_per_megapixel": self.decode_cpu_s_per_megapixel + self.clip_files_cpu_s_per_megapixel,
            "work_bytes_per_video_s":
                self.work_bytes_per_video_s + self.clip_files_bytes_per_megapixel * megapixels_per_s})


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
    """Captions; other requests count by their tokens. None: not given, so no time of the servers can be told."""
    sizes: RequestSizes
    minutes_of_unknown: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The reckoning. Bytes, seconds, tokens."""

    videos: int
    unreadable: int
    """Further sources, in which there is no picture."""
    unknown: int
    """Videos whose length was assumed."""
    hours: float
    clips: int
    needles: int
    """Planted into copies of the share of the videos that `calibrate` asks for. Clips are without them; requests,
    tokens, cost, disk and time are with them."""
    requests: int
    requests_for: dict[str, int]
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
    """The length of each source; None where it is not here or its header tells none, 0 s where there is no picture."""
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
    known = [one for length in found if (one := length or usual).seconds]
    seconds = math.fsum(length.seconds for length in known)
    clips = [_clips(config, length.seconds) for length in known]
    asked = requests_of(config, clips, assumed.sizes)
    megapixels = math.fsum(length.seconds * length.pixels_per_second for length in known) / 1e6
    if config.keep_clips:
        rates = rates.keeping_clips(megapixels / max(seconds, 1.0))
    cpu_s = megapixels * rates.decode_cpu_s_per_megapixel + seconds * rates.other_cpu_s_per_video_s
    # A planted copy goes through all stages; which videos have one, their ids decide, so a share is reckoned.
    made = 1 + config.calibrate
    workers_s = made * cpu_s / config.workers
    servers_s = _servers_s(config, made * math.fsum(one.tokens for one in asked), assumed)
    return Plan(
        videos=len(known), unreadable=len(found) - len(known), unknown=sum(length is None for length in found),
        hours=seconds / 3600, clips=sum(clips),
        needles=round(config.calibrate * sum(map(needle_count, clips))),
        requests=sum(round(made * one.requests) for one in asked),
        requests_for={one.what_for: round(made * one.requests) for one in asked},
        prompt_tokens=round(made * math.fsum(one.prompt_tokens for one in asked)),
        answer_tokens=round(made * math.fsum(one.answer_tokens for one in asked)),
        cost=made * math.fsum(one.cost for one in asked),
        disk_bytes=made * seconds * (rates.work_bytes_per_video_s + rates.shard_bytes_per_video_s),
        workers=config.workers, cpu_s=made * cpu_s, workers_s=workers_s, servers=assumed.servers, servers_s=servers_s,
        wall_s=None if servers_s is None else max(workers_s, servers_s))


def _servers_s(config: BuildConfig, tokens: float, assumed: Assumed) -> float | None:
    """Seconds that the servers take, if a token takes as long in any request as in one for a caption."""
    if not tokens:
        return 0.0
    if assumed.server_requests_per_second is None:
        return None
    return tokens / caption_tokens(config, assumed.sizes) / assumed.server_requests_per_second / assumed.servers


def as_text(plan: Plan, rates: Rates) -> str:
    """The plan for people."""
    servers = "unknown: give --server-requests-per-second" if plan.servers_s is None else _time(plan.servers_s)
    lines = [
        f"videos    {plan.videos:,}" + (f", {plan.unknown:,} of them of assumed length" if plan.unknown else "")
        + (f"; {plan.unreadable:,} more without a picture that can be read" if plan.unreadable else ""),
        f"hours     {plan.hours:,.2f}",
        f"clips     {plan.clips:,}",
    ]
    if plan.needles:
        lines.append(f"needles   {plan.needles:,} in copies, which the figures below include")
    if plan.requests:
        lines += [
            f"requests  {plan.requests:,}, those of the checks at most",
            *(f"  {count:,} {what}" for what, count in plan.requests_for.items()),
            f"tokens    {plan.prompt_tokens:,} in, {plan.answer_tokens:,} out",
            f"cost      {plan.cost:,.2f}" if plan.cost else "cost      not known: give prices, --caption-price-in, …"]
    lines += [
        f"disk      {plan.disk_bytes / 1e9:,.2f} GB",
        f"wall time {'unknown' if plan.wall_s is None else _time(plan.wall_s)}",
        f"  workers {_time(plan.workers_s)} with {plan.workers}; {_time(plan.cpu_s)} of one core",
    ]
    if plan.requests:
        lines.append(f"  servers {servers} with {plan.servers}")
    return "\n".join([*lines, f"reckoned with {rates.measured_on}"])


def as_row(plan: Plan) -> dict[str, Any]:
    """The plan for programs."""
    return asdict(plan)


def read_length(_report: Report, path: str) -> Length | None:
    """What the header of a file says of its picture; see `lengths`."""
    with av.open(path, metadata_errors="replace", options={"protocol_whitelist": "file"}) as container:
        if not container.streams.video:
            return Length(0.0, 0.0)
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
        return Length(0.0, 0.0)  # the build will leave it out, too


def _clips(config: BuildConfig, seconds: float) -> int:
    whole, rest = divmod(seconds, config.clip_seconds)
    return int(whole) + (rest >= config.min_last_clip_seconds)


def _time(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"
