"""Batches made by hand, for tests of a step."""

import numpy as np
import torch
from torch import Tensor

from model.training.batch import Batch
from tests.model.tiny_models import SIZE

MARK = 299


def made_row(number: int, questions: int = 2, frames: int = 5, label_shared: bool = False) -> Batch:
    """One row: a video behind three words, and questions of two to four words with answers of one and more.

    Args:
        frames: of the video; 0: words in its place.
        label_shared: whether the words in front of the video are learned too.
    """
    draw = np.random.default_rng([7, number])
    ids = [*draw.integers(6, 250, 3).tolist(), MARK if frames else 5]
    labels, asks = [-100, *ids[1:3], -100] if label_shared else [-100] * 4, [0] * 4
    for question in range(1, questions + 1):
        asked, answered = (draw.integers(6, 250, n).tolist() for n in (2 + number % 3, question))
        ids += asked + answered
        labels += [-100] * len(asked) + answered
        asks += [question] * (len(asked) + len(answered))
    pixels = torch.randn(frames, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(number))
    names = tuple(f"row{number}.{question}" for question in range(questions))
    rows = [torch.tensor([values]) for values in (ids, [1] * len(ids), labels, asks)]
    return Batch(*rows, pixels if frames else None, torch.tensor([frames]) if frames else None, (names,))


def unpacked(row: Batch) -> list[Batch]:
    """The samples of one packed row, each in a row of its own."""
    alone = []
    for number, name in enumerate(row.sample_ids[0], 1):
        kept = ((row.question_ids == 0) | (row.question_ids == number))[0]
        columns = [getattr(row, field)[:, kept] for field in ("input_ids", "attention_mask", "labels")]
        questions = row.question_ids[:, kept].clamp(max=1)
        alone.append(Batch(*columns, questions, row.pixel_values, row.media_sizes, ((name,),)))
    return alone


def joined(rows: list[Batch]) -> Batch:
    """Rows beside each other, padded on the right."""
    longest = max(row.input_ids.shape[1] for row in rows)

    def column(name: str, fill: int) -> Tensor:
        values = [getattr(row, name) for row in rows]
        return torch.cat([torch.nn.functional.pad(v, (0, longest - v.shape[1]), value=fill) for v in values])

    seen = [row for row in rows if row.pixel_values is not None]
    return Batch(
        column("input_ids", 0), column("attention_mask", 0), column("labels", -100), column("question_ids", 0),
        torch.cat([row.pixel_values for row in seen]) if seen else None,
        torch.cat([row.media_sizes for row in seen]) if seen else None,
        tuple(ids for row in rows for ids in row.sample_ids))
