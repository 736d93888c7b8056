"""The command `train-on-shards`: reads what is asked for, trains, says what came of it.

    train-on-shards --shards DIR... --out RUN --config tiny|align-7b|tune-7b|FILE [--dry-run]
    torchrun --nproc-per-node N --no-python train-on-shards ...

Exit codes: 0 done, 1 a fault of ours, 2 wrong call, 3 too many samples cannot be used, 4 stopped and resumable.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from pydantic import ValidationError
from transformers.utils import logging as transformers_logging

from model.configuration import VideoXLConfig
from model.processing_video_xl import VideoXLProcessor
from model.training.checkpoint import OtherRunError
from model.training.checkpoint_folder import (
    NoWholeCheckpointError,
    RunNotWrittenError,
    newest_checkpoint,
    passed_over,
)
from model.training.initial_model import InitialModelError, initial_config, initial_processor, missing_models
from model.training.loader import LoaderStateError, TooMuchBadError, TrainingLoader
from model.training.loader_settings import LoaderSettings
from model.training.memory_estimate import estimate_memory
from model.training.missing_parts import missing_parts
from model.training.mixture import Mixture, MixtureError, everything, read_mixture
from model.training.ranks import NoDeviceError, Ranks, start_ranks
from model.training.run_lock import NoRunFolderError, RunInUseError
from model.training.shard_files import ShardError
from model.training.shard_texts import shard_texts
from model.training.train import Outcome, StepCountError, run_length, train
from model.training.train_choices import CONFIGS, TrainChoices
from schemas.choices import ChoiceFileError, read_choices
from schemas.faults import faults_in

DONE, OUR_FAULT, WRONG_CALL, NOTHING_MADE, STOPPED = 0, 1, 2, 3, 4

WRONG = (
    InitialModelError, MixtureError, ShardError, RunInUseError, NoRunFolderError, OtherRunError, NoWholeCheckpointError,
    LoaderStateError, StepCountError, NoDeviceError)


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
        return _complain("\n".join(faults_in(error, "choices")), WRONG_CALL)
    except (ChoiceFileError, json.JSONDecodeError) as error:
        return _complain(str(error), WRONG_CALL)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with start_ranks("cpu" if choices.dry_run else choices.device) as ranks:
            if choices.dry_run:
                return _dry_run(choices, ranks)
            outcome = _train(choices, ranks)
            if ranks.first:
                for reason, count in sorted(outcome.unusable.items()):
                    print(f"unusable, found while reading, {reason}: {count:,}")
                print(f"{outcome.step} steps done; the model: {outcome.checkpoint}")
            return DONE if outcome.finished else STOPPED
    except WRONG as error:
        return _complain(str(error), WRONG_CALL)
    except TooMuchBadError as error:
        return _complain(str(error), NOTHING_MADE)
    except RunNotWrittenError as error:
        return _complain(str(error), STOPPED)


def read_command_line(argv: Sequence[str]) -> TrainChoices:
    """The choices a command line makes.

    Raises:
        ChoiceFileError: the file of --config cannot be used.
        pydantic.ValidationError: a choice is not possible.
        SystemExit: an option does not exist, or help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="train-on-shards", allow_abbrev=False, description="Train Video-XL on shards.",
        epilog="Choices come from flags, else from --config, else from environment variables (VICO_LR=1e-5). Exit "
               "codes: 0 done, 1 a fault of ours, 2 wrong call, 3 too many samples cannot be used, 4 stopped and "
               "resumable.")
    parser.add_argument("--shards", nargs="+", action="extend", default=[], metavar="DIR",
                        help="folders that build-vico or import-instructions wrote")
    parser.add_argument("--train", nargs="+", action="extend", default=[], metavar="PART",
                        help="parts that learn: vision projector vst language_model; left out: those of the stage")
    parser.add_argument("--ratios", nargs="+", action="extend", default=[], type=int, metavar="RATIO",
                        help="compression ratios to draw from; left out: those of the stage; 1: no compression")
    return read_choices(TrainChoices, parser, argv, os.environ, bundled=CONFIGS)


def mixture_of(choices: TrainChoices) -> Mixture:
    """What is trained on.

    Raises:
        MixtureError: the file cannot be used, or holds nothing for the stage.
    """
    if choices.mixture is None:
        return everything(choices.shards, choices.most_frames)
    return read_mixture(choices.mixture, choices.shards).for_stage(choices.stage)


def loader_settings(choices: TrainChoices, config: VideoXLConfig) -> LoaderSettings:
    """How samples become batches."""
    return LoaderSettings.for_model(
        config, choices.ratio_choices, rows=choices.rows, most_questions=choices.most_questions,
        most_tokens=choices.most_tokens, template=choices.template, published_labels=choices.published_labels,
        max_bad_fraction=choices.max_bad_fraction)


def _processor(choices: TrainChoices, mixture: Mixture) -> VideoXLProcessor:
    """That of the run so far, or of what it starts from."""
    found = newest_checkpoint(choices.out_folder)
    if found is not None:
        return VideoXLProcessor.from_pretrained(found[0])
    return initial_processor(choices, lambda: shard_texts(mixture.folders))


def _loader(
    choices: TrainChoices, mixture: Mixture, config: VideoXLConfig, processor: VideoXLProcessor, ranks: Ranks
) -> TrainingLoader:
    return TrainingLoader(
        mixture, processor, loader_settings(choices, config), ranks.rank, ranks.size, choices.seed, choices.workers)


def _train(choices: TrainChoices, ranks: Ranks) -> Outcome:
    mixture = mixture_of(choices)
    missing = [*missing_models(choices), *missing_parts(mixture)]
    if missing:
        raise InitialModelError("\n".join(missing))
    processor = _processor(choices, mixture)
    for broken in passed_over(choices.out_folder) if ranks.first else ():
        print(f"not gone on from, {broken}", file=sys.stderr)
    loader = _loader(choices, mixture, initial_config(choices), processor, ranks)
    loader.check_complete()
    facts = loader.facts()
    if ranks.first:
        print("\n".join(facts.lines()), flush=True)
    length = run_length(choices, facts.batches_per_epoch, ranks.size)
    return train(choices, loader, length, processor, ranks)


def _dry_run(choices: TrainChoices, ranks: Ranks) -> int:
    """Say everything that is missing, which makes it a wrong call, and what a run on the rest would need."""
    mixture = mixture_of(choices)
    models = missing_models(choices)
    missing = [*models, *missing_parts(mixture)]
    for line in missing:
        print(f"missing: {line}")
    if models:  # how long rows are hangs on the model
        if choices.steps is not None:
            print(_steps_line(choices, 0, ranks))
        return WRONG_CALL
    config = initial_config(choices)
    facts = _loader(choices, mixture, config, _processor(choices, mixture), ranks).facts()
    for line in facts.emptied:
        print(f"missing: {line}")
    missing += facts.emptied
    if missing:
        print("of what is there:")
    print("\n".join(facts.lines()))
    if facts.samples or choices.steps is not None:
        print(_steps_line(choices, facts.batches_per_epoch, ranks))
    if facts.samples:
        print(estimate_memory(
            config, choices, ranks.size, choices.rows * facts.largest_crops, choices.rows * facts.largest_text).line())
    return WRONG_CALL if missing else DONE


def _steps_line(choices: TrainChoices, batches_per_epoch: int, ranks: Ranks) -> str:
    length = run_length(choices, batches_per_epoch, ranks.size)
    return (f"steps: {length.steps:,} of {choices.rows_per_step} rows, {length.batches_per_step} passes each on "
            f"{ranks.size} ranks")


def _complain(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
