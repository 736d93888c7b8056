"""The command `build-vico`: reads what is asked for, runs the flow in this process, says what came of it.

Exit codes: 0 done, 1 a fault of ours, 2 wrong call, 3 nothing could be made, 4 stopped and resumable.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from schemas.build_config import BuildConfig
from schemas.choices import ChoiceFileError, read_choices

# Prefect, and all that imports it, is imported inside functions: its settings must be in place first, and
# the spawned decoding processes import this module again.

DONE, OUR_FAULT, WRONG_CALL, NOTHING_MADE, STOPPED = 0, 1, 2, 3, 4


class BuildVicoChoices(BuildConfig):
    """What the command can be told."""

    sources: Annotated[list[str], Field(min_length=1)]
    out: Annotated[str, Field(min_length=1, description="output folder; a build that was stopped there goes on")]
    log_json: Annotated[bool, Field(
        description="tell of progress as JSON on stderr, an object a line, in place of bars")] = False


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    try:
        choices = read_command_line(argv)
    except ValidationError as error:
        return _complain(_what_is_wrong(error), WRONG_CALL)
    except (ChoiceFileError, json.JSONDecodeError) as error:
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
    return read_choices(BuildVicoChoices, parser, argv, os.environ)


def _wrong_call(choices: BuildVicoChoices) -> str | None:
    """What makes the call impossible, found before any work starts."""
    from pipeline.answer_store import AnswersMissingError, answers_in
    from pipeline.captioner_file import CaptionFileError
    from pipeline.captions import make_captioner
    from pipeline.exclusion import ExclusionListError, load_exclusion
    from pipeline.fetch_choices import FetchChoiceError, check_fetch_choices
    from pipeline.output_lock import OutputInUseError, only_run
    from pipeline.sources import SourceError, find_sources

    try:
        find_sources(choices.sources)
        make_captioner(choices)
        load_exclusion(choices, Path(choices.out))
        check_fetch_choices(choices)
        for folder in choices.answers:
            answers_in(Path(folder))
        # Asked here too, not only by the flow: two servers must not share the folder that Prefect works in.
        with only_run(Path(choices.out)):
            pass
    except (SourceError, CaptionFileError, ExclusionListError, FetchChoiceError, AnswersMissingError,
            OutputInUseError) as error:
        return str(error)
    except OSError as error:
        return f"--out {choices.out}: {error.strerror}"
    return None


def _as_unicode(name: str) -> str:
    """A file name may be any bytes, but Prefect stores what a flow is given as JSON: then its URL is given."""
    is_unicode = not any("\ud800" <= letter <= "\udfff" for letter in name)
    return name if is_unicode else Path(name).absolute().as_uri()


def _build(choices: BuildVicoChoices) -> int:
    from flows.progress_bars import ProgressBars
    from flows.temporary_prefect import PrefectDidNotStartError, temporary_prefect

    out = Path(choices.out)
    config = BuildConfig(**choices.model_dump(include=set(BuildConfig.model_fields)))
    try:
        with temporary_prefect(out / ".work" / "prefect"):
            from flows.build_vico import BuildFailedError, WrongSetupError, build_vico
            from pipeline.output_lock import OutputInUseError

            try:
                with ProgressBars(out / ".work" / "journal.jsonl", choices.log_json):
                    result = build_vico(sources=choices.sources, out=choices.out, config=config)
            except (OutputInUseError, WrongSetupError) as error:
                return _complain(str(error), WRONG_CALL)
            except BuildFailedError as error:
                return _complain(f"{error}\nWhat is finished is kept; the same command goes on.", OUR_FAULT)
    except PrefectDidNotStartError as error:
        return _complain(str(error), OUR_FAULT)
    except KeyboardInterrupt:
        return _complain("stopped. What is finished is kept; the same command goes on.", STOPPED)
    code = _say_result(result.manifest, out)
    if result.unfinished:
        return _complain(
            f"{result.unfinished} videos are left: {result.why_unfinished}\n"
            "What is finished is a whole data set; the same command goes on.", STOPPED)
    return code


def _say_result(manifest: dict[str, Any], out: Path) -> int:
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
    print(f"in {out}; look at it with: report-vico {out}")
    if rows["clips"] == 0:
        return _complain("nothing could be made of these sources; the table `rejected` says why", NOTHING_MADE)
    return DONE


def _say_served(served: dict[str, Any]) -> None:
    for row in served["usage"]:
        print(f"  {row['role']} by {row['model']}: {row['questions']} questions, {row['unusable']} without a usable "
              f"answer; {row['prompt_tokens']} + {row['completion_tokens']} tokens, {row['seconds']:.0f} seconds of "
              f"the model, cost {row['cost']:.4f}")


def _what_is_wrong(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        name = str(fault["loc"][0]).replace("_", "-") if fault["loc"] else ""
        if name == "sources":
            lines.append("name at least one video, folder or list; build-vico --help shows how")
        else:
            said = fault["msg"].removeprefix("Value error, ")
            lines.append(f"--{name}: {said}" if name else said)
    return "\n".join(lines)


def _complain(words: str, code: int) -> int:
    print(f"build-vico: {words}", file=sys.stderr)
    return code
