"""One run of `train-on-shards`, as the grid says."""

import json
from pathlib import Path
from typing import Any

import yaml

from model.evaluation.ablation.contents import model_digest
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.made_of import note_made_of
from model.evaluation.ablation.own_commands import OwnCommands
from model.training.checkpoint_folder import newest_checkpoint
from model.training.mixture import MixtureSource

_OF_SCRATCH = ("sizes", "vocabulary", "language_model", "vision_tower")
"""Choices about a model that does not exist yet."""
_SEEDS_OF_A_ROUND = 1_000_000


def is_trained(folder: Path) -> bool:
    """Whether a run, or a round of one, has come to its end."""
    return (folder / "trained.json").is_file()


def train_run(
    folders: GridFolders, commands: OwnCommands, seed: int, name: str, folder: Path, start: Path | None, round_: int = 1
) -> None:
    """Train one run, or one round of it; one that was stopped goes on, one that is done stays.

    Args:
        seed, name: which.
        folder: of the run or round.
        start: the checkpoint to start from; None: as the choices say.
        round_: of a run with a gate; each draws its samples in another order.

    Raises:
        GridChangedError: what is there was trained in another way.
        CommandFailedError, CommandStoppedError: see `OwnCommands.run`.
    """
    note_made_of(folder / "made.json", facts_of(folders, name))
    if is_trained(folder):
        return
    drawn_by = seed + _SEEDS_OF_A_ROUND * (round_ - 1)
    choices = {"keep": 1} | folders.grid.choices | folders.grid.runs[name].choices | {"seed": drawn_by}
    if start is not None:
        choices = {key: value for key, value in choices.items() if key not in _OF_SCRATCH} | {"init": str(start)}
    sources = [_source(source) for source in folders.grid.runs[name].sources]
    (folder / "mixture.yaml").write_text(yaml.safe_dump({"sources": sources}))
    (folder / "choices.yaml").write_text(yaml.safe_dump(choices))
    # All shards are named, so that the tokenizer of a run from scratch learns the words of every later run.
    commands.run(
        folder / "train.log", "train-on-shards", "--config", folder / "choices.yaml", "--out", folder,
        "--mixture", folder / "mixture.yaml", "--shards", *folders.shards, launched=True)
    (folder / "trained.json").write_text(json.dumps({"step": newest_checkpoint(folder)[1]["step"]}))


def facts_of(folders: GridFolders, name: str) -> dict[str, Any]:
    """What a run is made of, those it comes after included. Places of files are none of it: they may be moved."""
    grid, run, given = folders.grid, folders.grid.runs[name], folders.given_model(name)
    if given is not None:
        return {"given": model_digest(given)}
    return {
        "choices": grid.choices | run.choices,
        "sources": {source.name: source.model_dump(exclude={"name", "shards"}) for source in run.sources},
        "films": grid.films["train"].model_dump() if "train" in grid.films else None,
        "span_seconds": grid.span_seconds, "stills": grid.stills,
        "gate": None if run.gate is None else run.gate.model_dump(),  # it decides which round others start from
        "after": None if run.after is None else facts_of(folders, run.after)}


def _source(source: MixtureSource) -> dict[str, Any]:
    """As the mixture file of the run has it: folders in it would be relative to that file."""
    said = source.model_dump(exclude_none=True)
    if source.shards is not None:
        said["shards"] = [str(Path(folder).absolute()) for folder in source.shards]
    return said
