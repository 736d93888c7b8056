"""What a training run keeps, and going on from it.

The weights lie as `from_pretrained` takes them, adapters worked into the weights that they adapt. Beside them, under
`training/`: the optimiser's tensors and the adapters in safetensors, everything else in JSON. Nothing is pickled.
Nothing of it depends on how many ranks there were.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.training.checkpoint_folder import (
    RunNotWrittenError,
    new_checkpoint,
    newest_checkpoint,
    remove_older,
    why_not_written,
    write_state,
)
from model.training.lora import adapters_of, is_adapter, plain_name
from model.training.ranks import Ranks
from model.training.sharding import spread_like, whole
from model.training.tensor_files import TensorFiles, stored_tensors
from model.training.train_choices import NOT_OF_THE_RUN, TrainChoices

OPTIMISER, ADAPTERS = "optimizer", "adapters"
MOMENTS = ("exp_avg", "exp_avg_sq")


class OtherRunError(Exception):
    """The folder holds a run that was set up differently; the message says where."""


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        step: steps done.
        loader: the state of each rank's loader.
    """

    step: int
    loader: list[dict[str, Any]]


def save_checkpoint(
    run: Path, model: VideoXLForConditionalGeneration, optimiser: torch.optim.Optimizer, processor: VideoXLProcessor,
    position: Position, settings: dict[str, Any], ranks: Ranks, keep: int,
) -> None:
    """Write a checkpoint; every rank takes part, the first one writes.

    Args:
        run: folder of the run.
        settings: what must be the same when the run goes on.
        keep: how many checkpoints stay.

    Raises:
        RunNotWrittenError: on every rank; older checkpoints are untouched.
    """
    fault = ""
    gather = _gathered(model, optimiser)
    if ranks.first:
        try:
            with new_checkpoint(run, position.step) as folder:
                _write(folder, gather, model, processor)
                write_state(folder, {"step": position.step, "loader": position.loader, "settings": settings})
            remove_older(run, position.step, keep)
        except (OSError, SafetensorError) as error:
            fault = why_not_written(error)
    for _ in gather:  # what the first rank did not come to still has to be exchanged
        pass
    fault = ranks.gathered(fault)[0]
    if fault:
        raise RunNotWrittenError(
            f"the checkpoint of step {position.step} could not be written: {fault}; the one before it is whole. "
            f"Make room in {run} and run the same command again")


def _gathered(model: nn.Module, optimiser: torch.optim.Optimizer) -> Any:
    """Everything to be written, one whole tensor at a time: (file stem, name, tensor)."""
    adapters = {name: rest for name, *rest in adapters_of(model)}
    for name, parameter in model.named_parameters():
        plain, full = plain_name(name), whole(parameter)
        if is_adapter(name):
            yield ADAPTERS, name, full
        elif plain in adapters:
            a, b, counts = adapters[plain]
            yield "model", plain, _merged(full, whole(a), whole(b), counts)
        else:
            yield "model", plain, full
        for moment in MOMENTS if parameter in optimiser.state else ():
            yield OPTIMISER, f"{name}|{moment}", whole(optimiser.state[parameter][moment])
        if parameter in optimiser.state:
            yield OPTIMISER, f"{name}|step", optimiser.state[parameter]["step"]


def _write(folder: Path, gather: Any, model: VideoXLForConditionalGeneration, processor: VideoXLProcessor) -> None:
    files = {"model": TensorFiles(folder, "model")}
    for stem, name, tensor in gather:
        if stem not in files:
            files[stem] = TensorFiles(folder / "training", stem)
        files[stem].add(name, tensor)
    for one in files.values():
        one.close()
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    processor.save_pretrained(folder)


def checkpoint_to_resume(run: Path, settings: dict[str, Any]) -> tuple[Path, Position] | None:
    """The newest whole checkpoint of a run, or None where there is none.

    A choice that the release which wrote it did not know had, for that release, what is now its default.

    Raises:
        OtherRunError: it was made with other settings; lists them.
        NoWholeCheckpointError: there are some, and none is as it was written.
    """
    found = newest_checkpoint(run)
    if found is None:
        return None
    folder, state = found
    stored = {name: value for name, value in state["settings"].items() if name not in NOT_OF_THE_RUN}
    before = {name: field.default for name, field in TrainChoices.model_fields.items() if name in settings} | stored
    unlike = [f"{name}: {before.get(name)!r} there, {settings.get(name)!r} here"
              for name in sorted(before.keys() | settings.keys()) if before.get(name) != settings.get(name)]
    if unlike:
        raise OtherRunError(
            "\n  - ".join([f"{run} holds a run of another configuration: choose another --out, or the same", *unlike]))
    return folder, Position(state["step"], state["loader"])


def restore_adapters(folder: Path, model: VideoXLForConditionalGeneration) -> None:
    """Put stored adapters into a model that has just got fresh ones, before it is sharded.

    Raises:
        OtherRunError: the weights that they adapt are no longer those they were trained with.
    """
    by_plain_name = {plain_name(name): parameter for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for name, tensor in stored_tensors(folder / "training", ADAPTERS):
            by_plain_name[name].copy_(tensor)
        adapters = {name: rest for name, *rest in adapters_of(model)}
        for name, stored in stored_tensors(folder, "model"):
            own = by_plain_name[name]
            if name not in adapters:
                own.copy_(stored)
            elif not torch.allclose(stored, _merged(own, *adapters[name]), rtol=1e-2, atol=1e-4):
                raise OtherRunError(f"{name} is not what {folder} was trained from: give the --init it began with")


def _merged(weight: Tensor, a: Tensor, b: Tensor, counts: float) -> Tensor:
    """A weight with its adapter worked in."""
    return weight + (counts * (b.float() @ a.float())).to(weight)


def restore_optimiser(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Give the optimiser what it had; the model may be sharded."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    number = {parameter: i for i, parameter in enumerate(p for g in optimiser.param_groups for p in g["params"])}
    states: dict[int, dict[str, Tensor]] = {}
    for entry, tensor in stored_tensors(folder / "training", OPTIMISER):
        name, what = entry.rsplit("|", 1)
        parameter = parameters[name]
        value = tensor if what == "step" else spread_like(tensor, parameter)
        states.setdefault(number[parameter], {})[what] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
