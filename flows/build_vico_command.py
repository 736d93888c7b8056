"""The command `build-vico`: reads what is asked for, runs the flow in this process, says what came of it.

Exit codes: 0 done, 1 a fault of ours, 2 wrong call, 3 nothing could be made, 4 stopped and resumable.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from flows.looks import add_looks, look
from pipeline.no_room import is_full, is_no_room
from pipeline.shared_files import NoSuchStoreError, is_object_address
from schemas.build_config import BuildConfig
from schemas.choices import LOG_JSON, ChoiceFileError, read_choices
from schemas.reasons import Stage

# Prefect, and all that imports it, is imported inside functions: its settings must be in place first, and
# the spawned decoding processes import this module again.

DONE, OUR_FAULT, WRONG_CALL, NOTHING_MADE, STOPPED = 0, 1, 2, 3, 4


class BuildVicoChoices(BuildConfig):
    """What the command can be told."""

    sources: list[str] = Field(default_factory=list)
    out: Annotated[str, Field(min_length=1, description="output folder, or an address like s3://bucket/set; a build "
                                                        "that was stopped there goes on, and a data set there grows by "
                                                        "the sources named")]
    rebuild: Annotated[Literal["decode", "captions", "clues", "questions", "shards"] | None, Field(
        description="do one stage again, and what follows from it")] = None
    forget: list[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]] = Field(
        default_factory=list, description="ids of videos to take out of every table and to keep out")
    log_json: Annotated[bool, Field(description=LOG_JSON)] = False


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    try:
        code = run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # while it starts, or ends; in between `ctrl_c` listens
        code = _complain("stopped. What is finished is kept; the same command goes on.", STOPPED)
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    try:
        looked = look(argv)
        if looked is not None:
            return looked
        choices = read_command_line(argv)
    except ValidationError as error:
        return _complain(_what_is_wrong(error), WRONG_CALL)
    except (ChoiceFileError, NoSuchStoreError, json.JSONDecodeError) as error:
        return _complain(str(error), WRONG_CALL)
    fault = _wrong_call(choices)
    if fault:
        return _complain(fault, WRONG_CALL)
    return _build(choices)


def read_command_line(argv: Sequence[str]) -> BuildVicoChoices:
    """The choices a command line makes.

    Raises:
        ChoiceFileError: the file of --config cannot be used.
        pydantic.ValidationError: a choice is not possible.
        SystemExit: an option does not exist, or help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="build-vico", allow_abbrev=False, description="Make a VICO data set from long videos.",
        epilog="Choices come from flags, else from the YAML file of --config, else from environment variables "
               "(VICO_CLIP_SECONDS=10). Exit codes: 0 done, 1 a fault of ours, 2 wrong call, 3 nothing could be "
               "made, 4 stopped and resumable.")
    parser.add_argument(
        "sources", nargs="*", default=None, type=_as_unicode, metavar="SOURCE",
        help="addresses, video files, folders, or lists of these (.txt, .csv, .jsonl, .parquet)")
    parser.add_argument("--forget", nargs="+", action="extend", metavar="ID",
                        help=BuildVicoChoices.model_fields["forget"].description)
    add_looks(parser)
    return read_choices(BuildVicoChoices, parser, argv, os.environ, weakest=_of_last_build)


def _of_last_build(stronger: dict[str, Any]) -> dict[str, Any]:
    """What the output was built with: a data set that grows need not be told again how it was made."""
    from pipeline.build_request import inherited_choices
    from pipeline.output_lock import OutputInUseError, only_run
    from pipeline.output_place import catch_up, place_of

    if not stronger.get("out"):
        return {}
    place = place_of(stronger["out"], stronger.get("scratch"))
    if place.objects is not None:
        with contextlib.suppress(OutputInUseError), only_run(place.folder):  # who holds it is caught up
            catch_up(place)
    return inherited_choices(place.folder / ".work", stronger)


def _wrong_call(choices: BuildVicoChoices) -> str | None:
    """What makes the call impossible, found before any work starts."""
    from pipeline.answer_store import AnswersMissingError, answers_in
    from pipeline.build_request import BucketsFixedError, with_fixed_buckets
    from pipeline.captioner_file import CaptionFileError
    from pipeline.captions import make_captioner
    from pipeline.exclusion import ExclusionListError, load_exclusion
    from pipeline.fetch_choices import FetchChoiceError, check_fetch_choices
    from pipeline.output_lock import OutputInUseError, only_run
    from pipeline.output_place import fault_of_clip_files
    from pipeline.sources import SourceError, find_sources

    out = _folder(choices)
    work = out / ".work"
    if not choices.sources and not any((work / f"{name}.jsonl").is_file() for name in ("catalogue", "under_way")):
        return "name at least one video, folder or list; build-vico --help shows how"
    try:
        if choices.sources:
            find_sources(choices.sources)
        with_fixed_buckets(choices, work)
        make_captioner(choices)
        load_exclusion(choices, out)
        check_fetch_choices(choices)
        for folder in choices.answers:
            answers_in(Path(folder))
        with only_run(out):
            pass
        fault = fault_of_clip_files(choices, choices.out)
        if choices.ray and not fault:
            fault = _wrong_cluster(choices.ray)
    except (SourceError, CaptionFileError, ExclusionListError, FetchChoiceError, AnswersMissingError,
            BucketsFixedError, OutputInUseError) as error:
        return str(error)
    except OSError as error:
        return f"--out {choices.out}: {error.strerror}"
    return fault


def _wrong_cluster(address: str) -> str | None:
    from flows.ray_address import fault_of_address

    if importlib.util.find_spec("prefect_ray") is None:
        return "--ray needs two more packages: in the checkout, pip install -e '.[ray]'"
    return fault_of_address(address)


def _as_unicode(name: str) -> str:
    """A file name may be any bytes, but Prefect stores what a flow is given as JSON: then its URL is given."""
    is_unicode = not any("\ud800" <= letter <= "\udfff" for letter in name)
    return name if is_unicode else Path(name).absolute().as_uri()


def choices_of_flow(choices: BuildVicoChoices) -> dict[str, Any]:
    """The parameters of the flow."""
    return {
        "sources": choices.sources, "out": choices.out,
        "config": BuildConfig(**choices.model_dump(include=set(BuildConfig.model_fields), exclude_unset=True)),
        "rebuild": Stage(choices.rebuild) if choices.rebuild else None, "forgotten": choices.forget}


def _folder(choices: BuildVicoChoices) -> Path:
    """The output, or the folder that stands for it on this machine."""
    from pipeline.output_place import place_of

    return place_of(choices.out, choices.scratch).folder


def _build(choices: BuildVicoChoices) -> int:
    from flows.progress_bars import ProgressBars
    from flows.temporary_prefect import PrefectDidNotStartError, temporary_prefect
    from pipeline.output_lock import OutputInUseError, only_run

    out = _folder(choices)
    for unknown in _not_there(choices.forget, out):
        print(f"build-vico: no source of {out} has the id {unknown}; should it come, it is left out", file=sys.stderr)
    try:
        # Two Prefect servers must not share a folder, so the command holds the output before the flow does.
        with only_run(out, "command.lock"), temporary_prefect(out / ".work" / "prefect", choices.ray):
            from flows.build_vico import build_vico
            from flows.outcomes import BuildFailedError, WrongSetupError
            from pipeline.publish import CommitLostError

            try:
                with ProgressBars(out / ".work" / "journal.jsonl", choices.log_json):
                    result = build_vico(**choices_of_flow(choices))
            except (WrongSetupError, NoSuchStoreError) as error:
                return _complain(str(error), WRONG_CALL)
            except CommitLostError as error:
                return _complain(f"{error}. What is finished is kept; the same command goes on from there.", STOPPED)
            except BuildFailedError as error:
                if is_no_room(error) or is_full(out):
                    return _no_room(out)
                return _complain(f"{error}\nWhat is finished is kept; the same command goes on.", OUR_FAULT)
    except OutputInUseError as error:
        return _complain(str(error), WRONG_CALL)
    except PrefectDidNotStartError as error:
        if is_full(out):  # its database lies there too
            return _no_room(out)
        return _complain(f"{error}\nWhat is finished is kept; the same command goes on.", OUR_FAULT)
    except Exception as error:
        if not (is_no_room(error) or is_full(out)):
            raise
        return _no_room(out)
    left = f"left for the next run, videos: {result.unfinished}; {result.why_unfinished.rstrip('.')}."
    if result.manifest is None:
        return _complain(f"{left}\nWhat is finished is kept; the same command goes on.", STOPPED)
    code = _say_result(result.manifest, choices.out)
    if result.unfinished:
        return _complain(f"{left}\nWhat is finished is a whole data set; the same command goes on.", STOPPED)
    return code


def _not_there(video_ids: Sequence[str], out: Path) -> list[str]:
    """Those of the ids that no source is known by, mistyped perhaps."""
    from pipeline.catalogue import read_catalogue

    known = set(read_catalogue(out / ".work").video_ids.values())
    return [video_id for video_id in video_ids if video_id not in known]


def _no_room(out: Path) -> int:
    return _complain(f"there is no room left where {out} lies, or it became read-only. What is finished is kept; mend "
                     "that, and the same command goes on.", STOPPED)


def _say_result(manifest: dict[str, Any], out: str) -> int:
    rows = manifest["rows"]
    print(f"{rows['videos']} videos, {manifest['hours']:.2f} hours: {rows['clips']} clips, "
          f"{rows['clues']} clues, {rows['samples']} samples, {rows['frames']} frames")
    for kind, count in manifest["samples_by_kind"].items():
        print(f"  {count:6} {kind}")
    if manifest["rejected_by_reason"]:
        print(f"left out ({rows['rejected']}):")
        for reason, count in manifest["rejected_by_reason"].items():
            print(f"  {count:6} {reason}")
    if "served" in manifest:
        _say_served(manifest["served"])
    if "calibration" in manifest:
        found = manifest["calibration"]
        print(f"calibration, in {found['videos']} planted copies: {found['clues']} of {found['needles']} needles came "
              f"out as clues, {found['pairs_in_order']} of {found['pairs']} pairs in the right order")
    print(f"in {out}; look at it: {_how_to_look(out)}")
    if rows["clips"] == 0:
        return _complain("nothing could be made of these sources; the table `rejected` says why", NOTHING_MADE)
    return DONE


def _how_to_look(out: str) -> str:
    if is_object_address(out):
        return f"inspect-vico {out}"
    page = Path(out) / "report" / "index.html"
    return page.absolute().as_uri() if page.is_file() else f"report-vico {out} --out FOLDER"


def _say_served(served: dict[str, Any]) -> None:
    for row in served["usage"]:
        print(f"  {row['role']} by {row['model']}: {row['questions']} questions, {row['unusable']} without a usable "
              f"answer; {row['prompt_tokens']} + {row['completion_tokens']} tokens, {row['seconds']:.0f} seconds of "
              f"the model, cost {row['cost']:.4f}")


def _what_is_wrong(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        name = str(fault["loc"][0]).replace("_", "-") if fault["loc"] else ""
        if name == "forget":
            lines.append("--forget: an id of a video has 32 hex digits; inspect-vico shows the ids in `videos`")
        else:
            said = fault["msg"].removeprefix("Value error, ")
            lines.append(f"--{name}: {said}" if name else said)
    return "\n".join(lines)


def _complain(words: str, code: int) -> int:
    print(f"build-vico: {words}", file=sys.stderr)
    return code
