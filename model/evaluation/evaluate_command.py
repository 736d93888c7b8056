"""The command `evaluate-video-xl`: asks a model the questions of public benchmarks.

    evaluate-video-xl --model M --task mlvu-dev --task vnbench --data DIR --out RUN [--ratio 8] [--frames N]
    torchrun --nproc-per-node N --no-python evaluate-video-xl ...

Exit codes: 0 done, 1 a fault of ours, 2 wrong call, 3 nothing could be asked, 4 stopped and resumable.
"""

import argparse
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers.utils import logging as transformers_logging

from model.evaluation.answer_files import AnswerFiles, AnswersInUseError, OtherSettingsError
from model.evaluation.answerer import Answerer
from model.evaluation.asked_digest import asked_digest
from model.evaluation.evaluate import Look, evaluate, group_looks
from model.evaluation.evaluate_choices import USUAL_RATIO, EvaluateChoices
from model.evaluation.methods.method import Method
from model.evaluation.methods.method_answerer import MethodAnswerer
from model.evaluation.official_files import check_media
from model.evaluation.task import BadDataError, MissingDataError, Task
from model.evaluation.task_results import results_of, table_of
from model.evaluation.tasks import all_tasks
from model.evaluation.vst_answerer import VstAnswerer
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from schemas.choices import ChoiceFileError, read_choices
from schemas.faults import faults_in

DONE, OUR_FAULT, WRONG_CALL, NOTHING_MADE, STOPPED = 0, 1, 2, 3, 4


class NoModelError(Exception):
    """The folder holds no model that can be asked; the message says why."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command; SIGTERM stops it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    try:
        choices = read_command_line(argv)
    except ValidationError as error:
        return _complain("\n".join(faults_in(error, "choices")), WRONG_CALL)
    except (ChoiceFileError, json.JSONDecodeError) as error:
        return _complain(str(error), WRONG_CALL)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        # All files are read before the model is: a missing one is said at once.
        looks = _looks(choices)
        answerer = load_answerer(choices)
        codes = [_evaluate_task(task, looks[task], answerer, choices) for task in looks]
    except (MissingDataError, BadDataError, NoModelError, OtherSettingsError, AnswersInUseError) as error:
        return _complain(str(error), WRONG_CALL)
    except KeyboardInterrupt:
        return _complain("stopped; the same command goes on", STOPPED)
    return max(codes)


def read_command_line(argv: Sequence[str]) -> EvaluateChoices:
    """The choices a command line makes; rank and number of processes come from torchrun where it started this one.

    Raises:
        ChoiceFileError: the file of --config cannot be used.
        pydantic.ValidationError: a choice is not possible.
        SystemExit: an option does not exist, or help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="evaluate-video-xl", allow_abbrev=False, description="Ask a Video-XL the questions of benchmarks.",
        epilog="Choices come from flags, else from --config, else from environment variables (VICO_RATIO='[16]'). Exit "
               "codes: 0 done, 1 a fault of ours, 2 wrong call, 3 nothing could be asked, 4 stopped and resumable.")
    parser.add_argument("--task", nargs="+", action="extend", default=[], metavar="TASK",
                        help=f"benchmarks: {', '.join(all_tasks())}")
    parser.add_argument("--ratio", nargs="+", action="extend", type=int, default=[], metavar="RATIO",
                        help=f"compression ratio (default: {USUAL_RATIO}); 1: none; several: drawn for each window")

    def weakest(stronger: dict[str, Any]) -> dict[str, Any]:
        names = {"model": "VIDEO_XL_MODEL", "rank": "RANK", "world": "WORLD_SIZE"}
        return {name: os.environ[variable] for name, variable in names.items() if variable in os.environ}

    return read_choices(EvaluateChoices, parser, argv, os.environ, weakest=weakest)


def load_answerer(choices: EvaluateChoices) -> Answerer:
    """The model, on its device.

    Raises:
        NoModelError: it is not there, or not of these ratios.
    """
    folder = Path(choices.model)
    for name in ("config.json", "processor_config.json"):
        if not (folder / name).is_file():
            raise NoModelError(f"{folder} has no {name}: --model is a folder that train-on-shards or "
                               "python -m model.convert wrote, with its tokenizer")
    dtype = choices.dtype if choices.dtype == "auto" else getattr(torch, choices.dtype)
    try:
        model = VideoXLForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        model = model.to(choices.device_name(int(os.environ.get("LOCAL_RANK", choices.rank)))).eval()
        model.processor = VideoXLProcessor.from_pretrained(folder)
        if choices.method is not None:
            return MethodAnswerer(model, Method.parse(choices.method))
        return VstAnswerer(model, choices.ratio, choices.positions)
    except ValueError as error:
        raise NoModelError(str(error)) from error


def _looks(choices: EvaluateChoices) -> dict[Task, list[Look]]:
    """All that is to be looked at, once it is known to be there.

    Raises:
        MissingDataError: something is not.
        BadDataError: a file is not what it should be, two questions have one name, no task has a kind that is to be
            left out, or one has no other.
    """
    questions = {task: task.questions(Path(choices.data)) for task in choices.tasks()}
    kinds = {question.attributes.get("kind", "") for some in questions.values() for question in some}
    strange = [kind for kind in choices.leave_out if kind not in kinds]
    if strange:
        raise BadDataError(f"--leave-out: there is no kind {strange[0]!r}, only {', '.join(sorted(kinds))}")
    looks = {}
    for task, some in questions.items():
        asked = [question for question in some if question.attributes.get("kind") not in choices.leave_out]
        if not asked:
            raise BadDataError(f"--leave-out: nothing of {task.name} is left")
        [(most, times)] = Counter(question.question_id for question in asked).most_common(1)
        if times > 1:
            raise BadDataError(f"{task.name}: {times} questions are called {most!r}; answers go by that name")
        looks[task] = group_looks(asked)[:choices.limit]
        check_media(task, [question for look in looks[task] for question in look.questions])
    return looks


def _evaluate_task(task: Task, looks: Sequence[Look], answerer: Answerer, choices: EvaluateChoices) -> int:
    """Ask this rank's share; the rank that finds all answers there writes the results."""
    policy = choices.policy(task)
    settings = {
        "task": task.name, "scoring": task.scoring, "questions_and_media": asked_digest(looks), "policy": str(policy),
        "limit": choices.limit, "leave_out": choices.leave_out or None, **answerer.settings}
    files = AnswerFiles(Path(choices.out) / task.name, choices.rank)
    share = looks[choices.rank::choices.world]
    with files.writing(settings), _progress(task, share, files, choices.log_json) as tell:
        evaluate(task, share, answerer, policy, files, tell)
    rows = files.read()
    wanted = [question.question_id for look in looks for question in look.questions]
    left = sum(question_id not in rows for question_id in wanted)
    if left:
        print(f"{task.name}: rank {choices.rank} is done; {left} questions are with the other ranks")
        return DONE
    return _write_results(task, [rows[question_id] for question_id in wanted], files, settings, choices)


def _write_results(
    task: Task, rows: Sequence[Any], files: AnswerFiles, settings: dict[str, Any], choices: EvaluateChoices
) -> int:
    whole = choices.limit is None and not choices.leave_out
    asked = len(rows) if whole else len(task.questions(Path(choices.data)))
    results = results_of(task, rows, asked, settings)
    files.write_table(rows, settings)
    for name, content in task.submissions(rows).items():
        files.write_json(name, content)
    files.write_json("results.json", results)
    Console(width=None if sys.stdout.isatty() else 120).print(table_of(results))
    if results["not_asked"]:
        print(f"{results['not_asked']} questions could not be asked and count as wrong: see `problem` in "
              f"{files.folder / 'answers.parquet'}")
    return NOTHING_MADE if results["not_asked"] == len(rows) else DONE


@contextmanager
def _progress(task: Task, share: Sequence[Look], files: AnswerFiles, as_json: bool) -> Iterator[Callable[[int], None]]:
    """How far this rank is, as a bar or as JSON lines."""
    total, known = sum(len(look.questions) for look in share), files.read()
    done = sum(question.question_id in known for look in share for question in look.questions)
    console = Console(stderr=True)
    columns = (TextColumn(task.name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal) as progress:
        bar = progress.add_task(task.name, total=total, completed=done)

        def tell(answered: int) -> None:
            nonlocal done
            done += answered
            progress.update(bar, completed=done)
            if as_json:
                line = {"event": "answered", "task": task.name, "answered": done, "of": total}
                print(json.dumps(line), file=sys.stderr, flush=True)

        yield tell


def _complain(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
