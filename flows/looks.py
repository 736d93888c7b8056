"""What `build-vico` tells without building: `--status`, `--explain`, `--plan`. No Prefect, nothing is written."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from schemas.build_config import BuildConfig
from schemas.choices import read_choices

if TYPE_CHECKING:
    from pipeline.explain import Explained

_LOOKS = {
    "--status": "how far the build in DIR is: done, running, rejected, left, and the time to go",
    "--explain": "why each item would run again, like make -n; with sources and choices: what they would change",
}
_DONE, _WRONG_CALL = 0, 2


class PlanChoices(BuildConfig):
    """What a plan is made of besides a build's choices."""

    sources: list[str] = Field(default_factory=list)
    hours: float | None = Field(default=None, gt=0, description="plan for so many hours instead of sources")
    assume_minutes: float = Field(default=10.0, gt=0, description="length of a video whose length is not known")
    servers: int = Field(default=1, ge=1, description="model servers")
    server_requests_per_second: float | None = Field(
        default=None, gt=0, description="captions that one of them answers; other requests count by their tokens. "
                                        "vllm bench serve tells")
    image_tokens: int = Field(default=256, ge=1, description="tokens that the model makes of a frame")
    answer_tokens: int = Field(default=200, ge=1, description="tokens of a caption")
    clues_per_clip: float = Field(
        default=1.0, gt=0, description="clues that are found in a clip; each is looked for in the pictures")
    rates: str | None = Field(default=None, description="a file of rates, as benchmarks/throughput.py --rates writes")
    json_lines: bool = False


class ExplainChoices(BuildConfig):
    """What can be asked about."""

    sources: list[str] = Field(default_factory=list)
    explain: str = Field(description="the output folder")
    json_lines: bool = False


def add_looks(parser: argparse.ArgumentParser) -> None:
    """Have the command's help tell of them."""
    group = parser.add_argument_group("looking without building")
    for flag, words in _LOOKS.items():
        group.add_argument(flag, metavar="DIR", help=words)
    group.add_argument("--plan", action="store_true", default=None, help=(
        "what building the sources would take: hours, clips, requests, tokens, cost, disk, wall time; "
        "build-vico --plan --help names its own choices"))
    group.add_argument("--json", dest="json_lines", action="store_true", default=None, help="the same for programs")


def look(argv: Sequence[str]) -> int | None:
    """Answer a command line that asks for a look.

    Returns:
        The exit code, or None where a build is asked for.
    """
    asked = {word.partition("=")[0] for word in argv}
    if "--status" in asked:
        return _show_status(argv)
    if "--explain" in asked:
        return _explain(argv)
    if "--plan" in asked:
        return _plan(argv)
    return None


def _show_status(argv: Sequence[str]) -> int:
    from flows.build_status import NothingBuiltError, as_json, as_text, read_status

    parser = argparse.ArgumentParser(prog="build-vico", allow_abbrev=False)
    parser.add_argument("--status", metavar="DIR", required=True, help=_LOOKS["--status"])
    parser.add_argument("--json", action="store_true", help="the same for programs")
    options = parser.parse_args(argv)
    fault = _not_here(options.status)
    if fault:
        return _complain(fault)
    try:
        status = read_status(Path(options.status))
    except NothingBuiltError as error:
        return _complain(str(error))
    print(as_json(status) if options.json else as_text(status, Path(options.status)))
    return _DONE


def _explain(argv: Sequence[str]) -> int:
    from pipeline.build_request import BucketsFixedError, inherited_choices, with_fixed_buckets
    from pipeline.captioner_file import CaptionFileError
    from pipeline.catalogue import read_catalogue, read_under_way
    from pipeline.exclusion import ExclusionListError
    from pipeline.explain import Explainer
    from pipeline.sources import SourceError, find_sources

    parser = argparse.ArgumentParser(prog="build-vico", allow_abbrev=False)
    parser.add_argument("sources", nargs="*", default=None, metavar="SOURCE")
    parser.add_argument("--json", dest="json_lines", action="store_true", default=None, help="a row a line")
    choices = read_choices(
        ExplainChoices, parser, argv, os.environ,
        weakest=lambda said: inherited_choices(Path(said.get("explain", ".")) / ".work", said))
    fault = _not_here(choices.explain)
    if fault:
        return _complain(fault)
    out = Path(choices.explain)
    work = out / ".work"
    if not choices.sources and not (work / "request.json").is_file():
        return _complain(f"nothing was built in {out}; name sources to see what building them would do")
    catalogue = read_catalogue(work)
    try:
        sources = catalogue.with_new(find_sources(choices.sources) if choices.sources else read_under_way(work))
        explainer = Explainer(with_fixed_buckets(choices, work), out, catalogue)
    except (SourceError, CaptionFileError, ExclusionListError, BucketsFixedError) as error:
        return _complain(str(error))
    told = list(explainer.explain(sources))
    shards = explainer.shards()
    if choices.json_lines:
        for one in told:
            print(json.dumps({"source": one.source, "would_run": one.would_run, "left_out": one.left_out},
                             ensure_ascii=False))
        print(json.dumps({"source": None, "would_run": {"shards": shards}, "left_out": ""}))
        return _DONE
    _print_explained(told, shards)
    return _DONE


def _plan(argv: Sequence[str]) -> int:
    from pipeline.plan import Assumed, Length, RatesError, as_row, as_text, lengths, make_plan, read_rates
    from pipeline.plan_requests import RequestSizes
    from pipeline.sources import SourceError, find_sources

    parser = argparse.ArgumentParser(prog="build-vico", allow_abbrev=False)
    parser.add_argument("sources", nargs="*", default=None, metavar="SOURCE")
    parser.add_argument("--json", dest="json_lines", action="store_true", default=None, help="as one JSON object")
    # A plan is made before there is a server; prices and models are what matters of it.
    choices = read_choices(
        PlanChoices, parser, [word for word in argv if word != "--plan"], os.environ,
        weakest=_some_servers)
    sizes = RequestSizes(choices.image_tokens, choices.answer_tokens, choices.clues_per_clip)
    assumed = Assumed(choices.servers, choices.server_requests_per_second, sizes, choices.assume_minutes)
    try:
        rates = read_rates(Path(choices.rates) if choices.rates else None)
        if choices.hours:
            usual = Length(choices.assume_minutes * 60, 1280 * 720 * 24)
            found: list[Length | None] = [usual] * max(1, round(choices.hours * 60 / choices.assume_minutes))
        else:
            found = lengths(find_sources(choices.sources), choices.stall_seconds)
    except (SourceError, RatesError) as error:
        return _complain(str(error))
    plan = make_plan(choices, found, rates, assumed)
    print(json.dumps(as_row(plan)) if choices.json_lines else as_text(plan, rates))
    return _DONE


def _some_servers(said: dict[str, Any]) -> dict[str, Any]:
    """Servers for a plan that names none."""
    some = {"embedding_urls": ["http://127.0.0.1:8000/v1"]} if "embedding_model" in said else {}
    if "served" in (said.get("captioner"), said.get("orderer")):
        some |= {"caption_urls": ["http://127.0.0.1:8000/v1"], "caption_model": "any"}
    return some


def _not_here(out: str) -> str | None:
    """Where to look instead at an output in an object store: its journal lies with the machine that builds."""
    from pipeline.output_place import place_of
    from pipeline.shared_files import is_object_address

    if not is_object_address(out):
        return None
    return (f"{out}: how a build goes is known to the machine that runs it; ask there for "
            f"{place_of(out, os.environ.get('VICO_SCRATCH')).folder}, or for the folder in its --scratch")


def _print_explained(told: Sequence["Explained"], shards: dict[str, str]) -> None:
    for one in told:
        if one.would_run:
            print(f"{one.source}: {_in_words(one.would_run)}")
        elif one.left_out:
            print(f"{one.source}: left out; {one.left_out}")
    for bucket, why in shards.items():
        print(f"shards {bucket}: {why}")
    runs, left_out = sum(bool(one.would_run) for one in told), sum(bool(one.left_out) for one in told)
    print(f"{len(told)} sources: {runs} would be worked on, {left_out} left out, {len(told) - runs - left_out} need "
          "nothing" + ("; then the shards they fall into would be written" if runs else ""))


def _in_words(would_run: dict[str, str]) -> str:
    """`decode (clip_seconds is 6.0, was 5.0), then captions, clues`."""
    from pipeline.explain import FOLLOWS

    runs: list[list[str]] = []
    for stage, why in would_run.items():
        if why.startswith(FOLLOWS):
            runs[-1].append(stage)
        else:
            runs.append([f"{stage} ({why})"])
    return "; ".join(first + (f", then {', '.join(rest)}" if rest else "") for first, *rest in runs)


def _complain(words: str) -> int:
    print(f"build-vico: {words}", file=sys.stderr)
    return _WRONG_CALL
