"""The training loop: start or go on, step by step, to the end or until it is stopped."""

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.training.batch import Batch
from model.training.checkpoint import (
    Position,
    checkpoint_to_resume,
    restore_adapters,
    restore_optimiser,
    save_checkpoint,
)
from model.training.checkpoint_folder import RunNotWrittenError, step_folder, why_not_written
from model.training.drawn_ratios import drawn_ratios
from model.training.initial_model import initial_model, own_memory, weight_type
from model.training.learning_rate import learning_rate
from model.training.loader import TrainingLoader, state_of_rank
from model.training.lora import add_adapters
from model.training.optimiser import make_optimiser, set_learning_rate
from model.training.ranks import Ranks
from model.training.run_lock import NoRunFolderError, RunInUseError, only_run
from model.training.run_log import RunLog
from model.training.sharding import shard
from model.training.train_choices import TrainChoices
from model.training.trained_parts import freeze_all_but
from model.training.training_step import StepResult, StepSettings, checkpoint_activations, forward_backward, update
from pipeline.progress import StageProgress

Written = TypeVar("Written")


class StepCountError(Exception):
    """Rows and ranks do not make whole steps; the message says what would."""


@dataclass(frozen=True, slots=True)
class RunLength:
    """How long a run is.

    Attributes:
        batches: of each rank.
        batches_per_step: passes of each rank that make one step.
    """

    batches: int
    batches_per_step: int

    @property
    def steps(self) -> int:
        """Steps; the last one may have fewer batches."""
        return math.ceil(self.batches / self.batches_per_step)

    def batches_of(self, step: int) -> int:
        """Batches of a step, numbered from 0."""
        return min(self.batches_per_step, self.batches - step * self.batches_per_step)


def run_length(choices: TrainChoices, batches_per_epoch: int, ranks: int) -> RunLength:
    """Steps of a run.

    Raises:
        StepCountError: the rows of a step cannot be shared out.
    """
    per_step, rest = divmod(choices.rows_per_step, choices.rows * ranks)
    if rest or not per_step:
        raise StepCountError(
            f"{choices.rows_per_step} rows a step cannot be shared out among {ranks} ranks with {choices.rows} rows a "
            f"pass: make --rows-per-step a multiple of {choices.rows * ranks}")
    if choices.steps is not None:
        return RunLength(choices.steps * per_step, per_step)
    return RunLength(math.ceil(choices.epochs * batches_per_epoch), per_step)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        step: steps done.
        finished: whether these are all.
        checkpoint: folder of the last checkpoint.
        unusable: samples skipped while reading since step 0, on all ranks, in every epoch anew, by reason.
    """

    step: int
    finished: bool
    checkpoint: Path
    unusable: dict[str, int]


def train(
    choices: TrainChoices, loader: TrainingLoader, length: RunLength, processor: VideoXLProcessor, ranks: Ranks
) -> Outcome:
    """Train, from the run's newest checkpoint if there is one.

    Args:
        loader: of this rank, at its beginning.
        length: how long the run is.
        processor: goes into the checkpoints.

    Raises:
        RunInUseError, NoRunFolderError, OtherRunError, NoWholeCheckpointError, InitialModelError: on every rank, before
            anything is written or trained.
        RunNotWrittenError: a checkpoint or the log; the last checkpoint is whole, and the run can go on from it.
        TooMuchBadError: on every rank, before the step in which it shows.
    """
    with _only_run(ranks, choices.out_folder):
        return _train(choices, loader, length, processor, ranks)


@contextmanager
def _only_run(ranks: Ranks, run: Path) -> Iterator[None]:
    """Hold the folder for all ranks: the first one takes it, and where it cannot, none goes on."""
    fault = None
    with ExitStack() as held:
        if ranks.first:
            try:
                held.enter_context(only_run(run))
            except RunInUseError as error:
                fault = error
            except OSError as error:
                fault = NoRunFolderError(f"{run} cannot be the folder of a run: {error}; choose another --out")
        fault = ranks.gathered(fault)[0]
        if fault is not None:
            raise fault
        yield


def _train(
    choices: TrainChoices, loader: TrainingLoader, length: RunLength, processor: VideoXLProcessor, ranks: Ranks
) -> Outcome:
    run = choices.out_folder
    settings = choices.of_the_run()
    found = checkpoint_to_resume(run, settings)
    folder, position = found or (None, Position(0, []))
    model = prepared_model(choices, processor, ranks, folder)
    optimiser = make_optimiser(model, choices.weight_decay, choices.beta2)
    if folder is not None:
        restore_optimiser(folder, model, optimiser)
        loader.load_state_dict(state_of_rank(position.loader, ranks.rank, ranks.size))
    log = _written(ranks, run, "the log", partial(RunLog, run, ranks.rank, ranks.size, position.step))
    try:
        return _loop(choices, loader, length, processor, ranks, model, optimiser, log, position.step, settings)
    finally:
        log.close()


def prepared_model(
    choices: TrainChoices, processor: VideoXLProcessor, ranks: Ranks, folder: Path | None = None
) -> VideoXLForConditionalGeneration:
    """The model ready to be trained: parts frozen, adapters added, on its device, sharded.

    Args:
        folder: a checkpoint to go on from.
    """
    if folder is None or choices.lora_rank:
        model = initial_model(choices, processor)
    else:
        model = VideoXLForConditionalGeneration.from_pretrained(folder, dtype=weight_type(choices))
        own_memory(model)
    model.config.dtype = weight_type(choices)
    freeze_all_but(model, choices.parts)
    if choices.lora_rank:
        torch.manual_seed(choices.seed)
        add_adapters(model, choices.lora_rank, choices.lora_alpha)
        if folder is not None:
            restore_adapters(folder, model)
    model.set_attn_implementation(choices.attention)
    model.train()
    if not choices.keep_activations:
        checkpoint_activations(model)
    if ranks.mesh is None:
        return model.to(ranks.device)
    shard(model, ranks, mixed=choices.precision == "mixed")
    return model


def step_settings(choices: TrainChoices, ranks: Ranks) -> StepSettings:
    """What a step has to know of the choices."""
    return StepSettings(
        ratios=choices.ratio_choices, loss_average=choices.loss_average, clip_norm=choices.clip_norm,
        autocast=choices.precision == "mixed" and ranks.mesh is None)


def _loop(
    choices: TrainChoices, loader: TrainingLoader, length: RunLength, processor: VideoXLProcessor, ranks: Ranks,
    model: VideoXLForConditionalGeneration, optimiser: torch.optim.Optimizer, log: RunLog, done: int,
    settings: dict[str, Any],
) -> Outcome:
    run, how = choices.out_folder, step_settings(choices, ranks)
    began, saved, stop = time.monotonic(), done, done >= length.steps
    batches_ahead = iter(loader)
    with asked_to_stop() as asked, StageProgress(["steps"], choices.log_json, quiet=not ranks.first) as progress:
        progress.plan("steps", length.steps, done)
        while not stop:
            started = time.perf_counter()
            batches = [_usable(batch, loader, ranks) for batch in islice(batches_ahead, length.batches_of(done))]
            waited = time.perf_counter() - started
            over = choices.max_minutes is not None and time.monotonic() - began > 60 * choices.max_minutes
            result = forward_backward(
                model, batches, lambda batch, step=done: drawn_ratios(batch, how.ratios, choices.seed, step), how,
                ranks, stop=over or asked.is_set())
            rate = learning_rate(done, length.steps, choices.lr, choices.warmup, choices.lr_end)
            set_learning_rate(optimiser, rate)
            norm = update(model, optimiser, how.clip_norm)
            done += 1
            figures = _figures(result, rate, norm, waited, time.perf_counter() - started, ranks)
            unusable, = ranks.sums([float(sum(loader.bad.values()))])
            figures["unusable_samples"] = int(unusable)
            _written(ranks, run, f"the log of step {done}", partial(log.step, done, figures, batches))
            progress.reach("steps", done, f"loss {result.loss:.4f}, gradient {norm:.3f}, rate {rate:.2e}")
            stop = result.stop or done == length.steps
            if stop or done % choices.checkpoint_steps == 0:
                position = Position(done, ranks.gathered(loader.state_dict()))
                save_checkpoint(run, model, optimiser, processor, position, settings, ranks, choices.keep)
                saved = done
    unusable = sum((Counter(bad) for bad in ranks.gathered(loader.bad)), Counter())
    return Outcome(done, done >= length.steps, step_folder(run, saved), dict(unusable))


def _usable(batch: Batch, loader: TrainingLoader, ranks: Ranks) -> Batch:
    """The batch that the loader has just given, unless all ranks together have found too much that is unusable."""
    found, = ranks.sums([float(len(loader.bad_of_epoch))])
    if found > loader.most_bad:  # a sample that several ranks were shown is in it more than once
        loader.check_bad(ranks.gathered(loader.bad_of_epoch))
    return batch


def _written(ranks: Ranks, run: Path, what: str, write: Callable[[], Written]) -> Written:
    """Write something on every rank; if one of them cannot, none goes on.

    Raises:
        RunNotWrittenError: on every rank.
    """
    result, fault = None, ""
    try:
        result = write()
    except OSError as error:
        fault = why_not_written(error)
    faults = [one for one in ranks.gathered(fault) if one]
    if faults:
        raise RunNotWrittenError(f"{what} could not be written: {faults[0]}; checkpoints are as they were. Make room "
                                 f"in {run} and run the same command again")
    return result


def _figures(
    result: StepResult, rate: float, norm: float, waited: float, seconds: float, ranks: Ranks
) -> dict[str, float]:
    """What is written down of a step; seconds are this rank's, the rest is over all of them."""
    figures = {
        "loss": result.loss, "gradient_norm": norm, "learning_rate": rate, "answer_tokens": result.answer_tokens,
        "samples": result.samples, "seconds": seconds, "seconds_for_loader": waited,
        "samples_per_second": result.samples / seconds,
    }
    if ranks.device.type == "cuda":
        figures["peak_gigabytes"] = torch.cuda.max_memory_allocated() / 1e9
    return figures


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a polite kill sets, so that the step at hand ends and is saved; a second one ends at
    once.
    """
    event = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.getsignal(one) for one in signals}

    def ask(number: int, frame: Any) -> None:
        event.set()
        signal.signal(number, before[number])

    for one in signals:
        signal.signal(one, ask)
    try:
        yield event
    finally:
        for one in signals:
            signal.signal(one, before[one])
