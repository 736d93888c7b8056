"""A loader of made-up rows: as `TrainingLoader` deals them out, but without shards."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from model.processing_video_xl import VideoXLProcessor
from model.training.batch import Batch
from model.training.initial_model import scratch_config
from model.training.small_tokenizer import learn_tokenizer

SIZES = {
    "text": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "max_position_embeddings": 512},
    "vision": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
               "image_size": 28, "patch_size": 7},
    "window_tokens": 16, "ratios": [2, 4, 8, 16], "default_ratio": 4,
}
TEXTS = ["what came first ?", "a red square", "a blue star", "a green ring came first"]


def processor() -> VideoXLProcessor:
    tokenizer = learn_tokenizer(TEXTS, 300)
    return VideoXLProcessor.for_model(scratch_config(SIZES, len(tokenizer) + 1), tokenizer)


def joined(rows: list[Batch]) -> Batch:
    """Rows beside each other, padded on the right."""
    longest = max(row.input_ids.shape[1] for row in rows)

    def column(name: str, fill: int) -> torch.Tensor:
        values = [getattr(row, name) for row in rows]
        return torch.cat([torch.nn.functional.pad(v, (0, longest - v.shape[1]), value=fill) for v in values])

    pixels = [row.pixel_values for row in rows if row.pixel_values is not None]
    return Batch(
        column("input_ids", 0), column("attention_mask", 0), column("labels", -100), column("question_ids", 0),
        torch.cat(pixels) if pixels else None,
        torch.cat([row.media_sizes for row in rows if row.media_sizes is not None]) if pixels else None,
        tuple(ids for row in rows for ids in row.sample_ids))


def made_row(mark: int, number: int, questions: int = 2, frames: int = 5) -> Batch:
    """One row: a video, and questions of two to four words with answers of one to three."""
    draw = np.random.default_rng([7, number])
    ids, labels, asks = [3, 4, mark, 5], [-100] * 4, [0] * 4
    for question in range(1, questions + 1):
        asked, answered = draw.integers(6, 250, 2 + number % 3).tolist(), draw.integers(6, 250, 1 + question).tolist()
        ids += asked + answered
        labels += [-100] * len(asked) + answered
        asks += [question] * (len(asked) + len(answered))
    generator = torch.Generator().manual_seed(number)
    pixels = torch.randn(frames, 3, 28, 28, generator=generator) if frames else None
    if not frames:
        ids[2] = 8
    return Batch(
        torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long), torch.tensor([labels]), torch.tensor([asks]),
        pixels, torch.tensor([frames]) if frames else None, (tuple(f"row{number}.{q}" for q in range(questions)),))


class MadeBatches:
    """`rows` rows an epoch in another order each, dealt out to ranks as `TrainingLoader` does. Row 0 is text."""

    def __init__(self, mark: int, rows: int, per_batch: int, rank: int, ranks: int) -> None:
        self._mark, self._rows, self._per_batch, self._rank, self._ranks = mark, rows, per_batch, rank, ranks
        self._next = 0

    @property
    def batches_per_epoch(self) -> int:
        return self._rows // (self._per_batch * self._ranks)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            epoch, number = divmod(self._next, self.batches_per_epoch)
            order = np.random.default_rng(epoch).permutation(self._rows)
            first = (number * self._ranks + self._rank) * self._per_batch
            self._next += 1
            yield joined([
                made_row(self._mark, int(row), 1 + row % 3, 0 if row == 0 else 3 + row % 6)
                for row in order[first : first + self._per_batch]])

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next = state["next"]
