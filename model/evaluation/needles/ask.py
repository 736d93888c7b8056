"""Needle in a haystack: hide stills in a long video and ask for them.

    python -m model.evaluation.needles.ask --model M --hay FILM --out DIR [--lengths 187 373] [--depths 0 0.5 1]
        [--method vst:16 pool-space:16 all::yarn] [--needles FOLDER]

    DIR/needles/answers.parquet   every answer
    DIR/needles/results.json      settings, and the share found in every cell
    DIR/needles/maps.html, maps.png

What was stopped goes on with the same command. Several processes share the cells by --rank and --world.
Exit codes: 0 done, 2 wrong call, 4 stopped and resumable.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers.utils import logging as transformers_logging

from model.ask_video import CannotAskError, load
from model.evaluation.answer_files import AnswerFiles, AnswersInUseError, OtherSettingsError
from model.evaluation.methods.method import NAMES, Method, MethodError
from model.evaluation.needles.hay import ShortHayError, read_hay
from model.evaluation.needles.needle import Needle, drawn_needles, read_needles
from model.evaluation.needles.needle_grid import TASK, Cell, ask_grid, cells_of
from model.evaluation.needles.needle_maps import NeedleMap, draw_png, needle_maps, write_page
from model.evaluation.task import AnswerRow, BadDataError, MissingDataError
from model.fingerprint import fingerprint
from model.modeling_video_xl import VideoXLForConditionalGeneration
from pipeline.decode import UnreadableVideoError
from schemas.choices import ChoiceFileError, read_choices
from schemas.faults import faults_in

DONE, WRONG_CALL, STOPPED = 0, 2, 4
SCORING = 2
"""As `Task.scoring`."""
PUBLISHED_LENGTHS = [1, 187, 373, 559, 745, 931, 1118, 1304, 1490, 1676, 1862, 2048]
"""Video-XL's grid."""


class NeedleChoices(BaseModel):
    """What can be chosen."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[Path, Field(description="folder of a Video-XL; left out: VIDEO_XL_MODEL")]
    hay: Annotated[Path, Field(description="a long video; its first seconds are the hay")]
    out: Annotated[Path, Field(description="folder of the answers; what was stopped there goes on")]
    lengths: Annotated[list[Annotated[int, Field(ge=1)]], Field(
        min_length=1, description="frames of hay, one a second")] = PUBLISHED_LENGTHS
    depths: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(
        min_length=1, description="share of the hay in front of the needle")] = [0.0, 0.25, 0.5, 0.75, 1.0]
    method: Annotated[list[str], Field(
        min_length=1, description=f"ways to look, name:factor:positions; names: {', '.join(NAMES)}")] = ["vst:16"]
    needles: Annotated[Path | None, Field(
        description="folder with needles.json and its pictures; left out: five that are drawn")] = None
    device: Annotated[str | None, Field(description="left out: the GPU of this rank if there is one")] = None
    rank: Annotated[int, Field(ge=0, description="number of this process among --world")] = 0
    world: Annotated[int, Field(ge=1, description="processes that share the cells")] = 1

    @field_validator("method")
    @classmethod
    def _known(cls, methods: list[str]) -> list[str]:
        return [str(Method.parse(text)) for text in dict.fromkeys(methods)]

    @model_validator(mode="after")
    def _check(self) -> "NeedleChoices":
        if not self.hay.is_file():
            raise ValueError(f"no video at {self.hay}")
        if self.rank >= self.world:
            raise ValueError(f"--rank {self.rank} must be less than --world {self.world}")
        return self

    def methods(self) -> list[Method]:
        """The ways to look."""
        return [Method.parse(text) for text in self.method]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit code.
    """
    try:
        choices = _read_command_line(sys.argv[1:] if argv is None else argv)
    except ValidationError as error:
        return _complain("\n".join(faults_in(error, "choices")), WRONG_CALL)
    except ChoiceFileError as error:
        return _complain(str(error), WRONG_CALL)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(choices)
    except (CannotAskError, MissingDataError, BadDataError, ShortHayError, OtherSettingsError, AnswersInUseError,
            MethodError) as error:
        return _complain(str(error), WRONG_CALL)
    except UnreadableVideoError as error:
        return _complain(f"{choices.hay}: {error.detail}", WRONG_CALL)
    except KeyboardInterrupt:
        return _complain("stopped; the same command goes on", STOPPED)


def _read_command_line(argv: Sequence[str]) -> NeedleChoices:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluation.needles.ask", allow_abbrev=False, description=__doc__.split("\n\n")[0])
    for name, of, words in (("lengths", int, "frames of hay, one a second (default: Video-XL's own twelve to 2048)"),
                            ("depths", float, "share of the hay in front of the needle (default: 0 0.25 0.5 0.75 1)"),
                            ("method", str, f"ways to look (default: vst:16), names: {', '.join(NAMES)}")):
        parser.add_argument(f"--{name}", nargs="+", action="extend", type=of, default=[], metavar=name.upper(),
                            help=words)

    def weakest(stronger: dict[str, Any]) -> dict[str, Any]:
        return {"model": os.environ["VIDEO_XL_MODEL"]} if "VIDEO_XL_MODEL" in os.environ else {}

    return read_choices(NeedleChoices, parser, argv, os.environ, weakest=weakest)


def _run(choices: NeedleChoices) -> int:
    needles = drawn_needles() if choices.needles is None else read_needles(choices.needles)
    model = _load(choices)
    for method in choices.methods():
        method.check(model.config)
    cells = cells_of(choices.methods(), choices.lengths, choices.depths, len(needles))
    settings = _settings(model, choices, needles)
    files = AnswerFiles(choices.out / TASK, choices.rank)
    with files.writing(settings):
        _ask(model, choices, needles, cells[choices.rank::choices.world], files)
    rows = files.read()
    wanted = [question_id for cell in cells for question_id in _asked(cell, needles)]
    if any(question_id not in rows for question_id in wanted):
        print(f"rank {choices.rank} is done; other cells are with the other ranks")
        return DONE
    _write_results([rows[question_id] for question_id in wanted], files, settings, choices)
    return DONE


def _load(choices: NeedleChoices) -> VideoXLForConditionalGeneration:
    device = choices.device or (f"cuda:{choices.rank}" if torch.cuda.is_available() else "cpu")
    try:
        return load(choices.model, device)
    except ValueError as error:  # a damaged or foreign checkpoint
        raise CannotAskError(str(error)) from error


def _settings(
    model: VideoXLForConditionalGeneration, choices: NeedleChoices, needles: Sequence[Needle]
) -> dict[str, Any]:
    """What an answer depends on besides its own cell: a grid may be widened in the same folder."""
    return {"model": fingerprint(model), "hay": choices.hay.name, "hay_bytes": choices.hay.stat().st_size,
            "needles": {needle.name: needle.digest for needle in needles}, "scoring": SCORING}


def _ask(
    model: VideoXLForConditionalGeneration, choices: NeedleChoices, needles: Sequence[Needle], cells: Sequence[Cell],
    files: AnswerFiles,
) -> None:
    """Ask this process's share; hay is not even read where nothing is left to ask."""
    done = files.read()
    left = [cell for cell in cells if any(question_id not in done for question_id in _asked(cell, needles))]
    if not left:
        return
    hay = read_hay(model, choices.hay, max(cell.length for cell in left))
    with _bar(len(left)) as (progress, bar):
        ask_grid(model, hay, choices.hay, needles, left, files, lambda _: progress.advance(bar))


def _asked(cell: Cell, needles: Sequence[Needle]) -> list[str]:
    """Ids of the questions of a cell."""
    needle = needles[cell.needle]
    return [cell.question_id(needle, scoring) for scoring in needle.scorings]


@contextmanager
def _bar(cells: int) -> Iterator[tuple[Progress, Any]]:
    console = Console(stderr=True)
    columns = (TextColumn("needles"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task("needles", total=cells)


def _write_results(
    rows: Sequence[AnswerRow], files: AnswerFiles, settings: dict[str, Any], choices: NeedleChoices
) -> None:
    maps = needle_maps(rows)
    files.write_table(rows, settings)
    files.write_json("results.json", {"settings": settings, "maps": [_as_json(one) for one in maps]})
    write_page(maps, files.folder / "maps.html", {"hay": choices.hay.name, "needles": ", ".join(settings["needles"])})
    try:
        draw_png(maps, files.folder / "maps.png")
    except ModuleNotFoundError:
        print("no picture; in the checkout, pip install -e '.[plots]'")
    for one in maps:
        mean = "no room" if one.mean is None else f"{100 * one.mean:5.1f} %"
        print(f"{one.method:24} {one.scoring:8} {mean}")
    print(f"maps: {files.folder / 'maps.html'}")


def _as_json(one: NeedleMap) -> dict[str, Any]:
    cells = [{"length": length, "depth": depth, "found": cell.mean} for (length, depth), cell in one.cells.items()]
    return {"method": one.method, "scoring": one.scoring, "mean": one.mean, "cells": cells}


def _complain(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
