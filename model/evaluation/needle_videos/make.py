"""Make a benchmark of VNBench's form from any videos.

    python -m model.evaluation.needle_videos.make FILM... --out DIR [--kinds ret_insert1 --kinds cnt_edit1] [--each 1]
    evaluate-video-xl --task vnbench --data DIR ...

    DIR/VNBench/VNBench-main-4try.json      every question four times, its options in another order each time
    DIR/VNBench/{film}_{kind}[_{n}].mp4     the film with its needles
    DIR/VNBench/settings.json               what they were made with

The same films and choices give the same files. A video that is there is not made again.
Exit codes: 0 done, 2 wrong call, 3 no film can be used.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from model.evaluation.needle_videos.needle_film import write_needle_film
from model.evaluation.needle_videos.needle_plan import KINDS, LETTERS, NeedlePlan, TooShortError, plan_needles, tries
from pipeline import decode
from schemas.choices import ChoiceFileError, read_choices
from schemas.faults import faults_in

DONE, WRONG_CALL, NOTHING_MADE = 0, 2, 3
FOLDER, QUESTIONS, SETTINGS = "VNBench", "VNBench-main-4try.json", "settings.json"


class OtherSettingsError(Exception):
    """The folder holds videos that were made with other choices."""


class MakeChoices(BaseModel):
    """What can be chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    films: Annotated[list[Path], Field(min_length=1, description="videos")]
    out: Annotated[Path, Field(description="output folder")]
    kinds: Annotated[list[str], Field(description=f"kinds of questions: {', '.join(KINDS)}")] = list(KINDS)
    each: Annotated[int, Field(ge=1, description="videos of each kind made from each film")] = 1
    seed: Annotated[int, Field(ge=0, description="another seed gives other needles")] = 0
    needle_seconds: Annotated[float, Field(
        gt=0, description="how long a needle is seen; a second is one frame at one frame a second")] = 1.0
    fps: Annotated[int, Field(ge=1, description="frames a second of the videos")] = 8
    side: Annotated[int, Field(ge=16, description="their shorter side in pixels, at most")] = 336

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: list[str]) -> list[str]:
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(KINDS)}")
        return kinds

    @field_validator("films")
    @classmethod
    def _there_and_apart(cls, films: list[Path]) -> list[Path]:
        missing = [film for film in films if not film.is_file()]
        if missing:
            raise ValueError(f"no file {missing[0]}")
        if len({film.stem for film in films}) < len(films):
            raise ValueError("two films have the same name, and so would their videos: rename one")
        return films

    @model_validator(mode="after")
    def _seen(self) -> "MakeChoices":
        if round(self.needle_seconds * self.fps) < 1:
            raise ValueError(
                f"a needle of {self.needle_seconds:g} s is shown in no frame at {self.fps} a second: raise "
                "--needle-seconds or --fps")
        return self

    def settings(self) -> dict[str, Any]:
        """All that a video depends on besides its film."""
        return self.model_dump(include={"seed", "needle_seconds", "fps", "side"})


def make(choices: MakeChoices) -> tuple[int, list[str]]:
    """Write videos and questions.

    Returns:
        How many videos there are, and what could not be made and why.

    Raises:
        OtherSettingsError: the folder holds videos that were made otherwise.
    """
    folder = choices.out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _settle(folder / SETTINGS, choices.settings())
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    videos = 0
    for film in choices.films:
        try:
            facts = decode.read_facts(str(film))
            for name, plan, rng in _plans(film, facts.duration_s, choices):
                if not (folder / name).is_file():
                    write_needle_film(film, facts, plan, folder / name, choices.fps, choices.side)
                rows += question_rows(name, plan, facts.duration_s, rng)
                videos += 1
        except (decode.UnreadableVideoError, TooShortError) as error:
            problems.append(f"{film}: {getattr(error, 'detail', error)}")
    if rows:
        _write_whole(folder / QUESTIONS, json.dumps(rows, indent=1, ensure_ascii=False))
    return videos, problems


def question_rows(name: str, plan: NeedlePlan, duration_s: float, rng: Random) -> list[dict[str, Any]]:
    """The four tries of a question, each as VNBench's file has it.

    Args:
        name: of the video file.
        plan: what is in it.
        duration_s: of the film without needles.
        rng: puts the options in order.
    """
    return [
        {
            "video": name, "question": plan.question, "options": options, "gt": plan.right,
            "gt_option": LETTERS[options.index(plan.right)], "needle_time": plan.needle_times(),
            "length": round(duration_s + plan.inserted_s, 3), "type": plan.kind, "try": number}
        for number, options in enumerate(tries(plan, rng))]


def _plans(film: Path, duration_s: float, choices: MakeChoices) -> Iterator[tuple[str, NeedlePlan, Random]]:
    for kind in choices.kinds:
        for number in range(choices.each):
            name = f"{film.stem}_{kind}{f'_{number}' if number else ''}"
            rng = Random(f"{choices.seed} {name}")
            yield f"{name}.mp4", plan_needles(kind, duration_s, choices.needle_seconds, rng), rng


def _settle(path: Path, settings: dict[str, Any]) -> None:
    if path.is_file() and json.loads(path.read_text()) != settings:
        raise OtherSettingsError(f"{path} holds other choices than {settings}: name another folder with --out")
    _write_whole(path, json.dumps(settings, indent=1))


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluation.needle_videos.make", description=__doc__.split("\n\n")[0])
    parser.add_argument("films", nargs="*", metavar="FILM", help="videos")
    try:
        choices = read_choices(MakeChoices, parser, sys.argv[1:] if argv is None else argv, os.environ)
        videos, problems = make(choices)
    except ValidationError as error:
        print("\n".join(faults_in(error, "choices")), file=sys.stderr)
        return WRONG_CALL
    except (ChoiceFileError, OtherSettingsError) as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    for problem in problems:
        print(problem, file=sys.stderr)
    if not videos:
        return NOTHING_MADE
    print(f"{videos} videos with needles; the questions: {choices.out / FOLDER / QUESTIONS}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
