"""Trains on made-up rows: a process that tests start, alone or under torchrun, and kill.

    python train_made_batches.py OUT [--rows N] [--steps N] ...
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]

import torch
from made_batches import SIZES, MadeBatches, processor

from model.training.ranks import start_ranks
from model.training.train import Outcome, run_length, train
from model.training.train_choices import TrainChoices

ROWS = 24


def made_choices(out: Path, **changes: object) -> TrainChoices:
    """Choices of a small run, on the CPU in float32."""
    return TrainChoices.model_validate({
        "shards": ["made"], "out": str(out), "init": "scratch", "sizes": SIZES, "vocabulary": 300, "device": "cpu",
        "precision": "float32", "rows": 2, "rows_per_step": 4, "steps": 6, "lr": 1e-2, "ratios": [2, 4, 8, 16],
        "checkpoint_steps": 2, **changes})


def train_made(choices: TrainChoices) -> Outcome:
    made = processor()
    with start_ranks(choices.device) as ranks:
        loader = MadeBatches(made.media_token_id, ROWS, choices.rows, ranks.rank, ranks.size)
        length = run_length(choices, loader.batches_per_epoch, ranks.size)
        return train(choices, loader, length, made, ranks)


if __name__ == "__main__":
    torch.set_num_threads(1)
    options = [(name.removeprefix("--").replace("-", "_"), value) for name, value in zip(
        sys.argv[2::2], sys.argv[3::2], strict=True)]
    outcome = train_made(made_choices(Path(sys.argv[1]), **dict(options)))
    sys.exit(0 if outcome.finished else 4)
