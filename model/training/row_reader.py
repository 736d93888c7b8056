"""Rows to batches: words are tokenised, pictures decoded. This is what the loader's workers do."""
# ruff: noqa: N806 (names end in the shape of the tensor)

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.processing_video_xl import VideoXLProcessor
from model.token_loss import IGNORED_LABEL
from model.training.batch import Batch
from model.training.frame_table import FrameReader, FrameTable
from model.training.loader_settings import LoaderSettings
from model.training.media_reader import PictureError, PixelReader, shown_media
from model.training.mixture import MixtureSource
from model.training.packing import Rows
from model.training.sample_table import SampleReader, SampleTable
from model.training.shard_files import ShardError
from model.training.training_ids import TrainingIds, training_ids

FILLER = -1
"""The row that fills up a batch."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample that turned out to be unusable."""

    sample_id: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A batch, and what could not be used for it."""

    batch: Batch
    bad: tuple[BadSample, ...]


@dataclass(frozen=True, slots=True)
class _ReadRow:
    ids: list[int]
    labels: list[int]
    questions: list[int]
    media: tuple[Tensor, ...]
    sample_ids: tuple[str, ...]


class RowReader(Dataset):
    """Reads batches by the numbers of their rows. What it keeps open, each process opens for itself."""

    def __init__(
        self, rows: Rows, samples: SampleTable, frames: FrameTable, sources: Sequence[MixtureSource],
        processor: VideoXLProcessor, settings: LoaderSettings, groups_kept: int,
    ) -> None:
        self._rows, self._samples, self._frames = rows, samples, frames
        self._sources, self._processor, self._settings = sources, processor, settings
        self._groups_kept = groups_kept
        self._words: SampleReader | None = None
        self._pixels: PixelReader | None = None

    def __getitem__(self, rows: tuple[int, ...]) -> ReadBatch | ShardError:
        """The batch of some rows. A broken file is returned, not raised: a worker's exceptions arrive as mere text."""
        if self._words is None:
            self._words = SampleReader(self._samples, self._groups_kept)
            self._pixels = PixelReader(
                FrameReader(self._frames, self._groups_kept), self._frames, self._processor)
        read: list[_ReadRow] = []
        bad: list[BadSample] = []
        try:
            for row in rows:
                read.append(self._filler() if row == FILLER else self._read_row(row, bad))
        except ShardError as error:
            return error
        return ReadBatch(_batch(read, self._pad_id()), tuple(bad))

    def _read_row(self, row: int, bad: list[BadSample]) -> _ReadRow:
        numbers = self._rows.of(row)
        samples = [self._words.read(int(number)) for number in numbers]
        source = self._sources[int(self._samples.source[numbers[0]])]
        sample_ids = tuple(sample["sample_id"] for sample in samples)
        try:
            shown = shown_media(self._frames, samples[0]["media"], self._words.root(int(numbers[0])), source)
            media = tuple(self._pixels.pixels(medium, source) for medium in shown)
        except PictureError as error:
            bad += [BadSample(sample_id, "picture_unreadable", str(error)) for sample_id in sample_ids]
            return self._filler()
        packed = [self._ids(sample["conversations"]) for sample in samples]
        return _ReadRow(*_packed(packed), media, sample_ids)

    def _ids(self, conversation: Sequence[dict[str, str]]) -> TrainingIds:
        return training_ids(self._processor, conversation, self._settings.template, self._settings.published_labels)

    def _filler(self) -> _ReadRow:
        ids = self._processor.prefix_ids()
        return _ReadRow(ids, [IGNORED_LABEL] * len(ids), [0] * len(ids), (), ())

    def _pad_id(self) -> int:
        pad, end = self._processor.tokenizer.pad_token_id, self._processor.tokenizer.eos_token_id
        return pad if pad is not None else end if end is not None else 0


def _packed(samples: Sequence[TrainingIds]) -> tuple[list[int], list[int], list[int]]:
    """Ids, labels and question numbers of samples that share what stands up to their last medium."""
    ids, labels = list(samples[0].shared), list(samples[0].shared_labels)
    questions = [0] * len(ids)
    for number, sample in enumerate(samples, start=1):
        ids += sample.question
        labels += sample.question_labels
        questions += [number] * len(sample.question)
    return ids, labels, questions


def _batch(rows: Sequence[_ReadRow], pad: int) -> Batch:
    """Rows padded on the right; padding belongs to the last question, so that question ids never fall."""
    longest = max(len(row.ids) for row in rows)
    input_ids_RN = torch.full((len(rows), longest), pad)
    mask_RN = torch.zeros((len(rows), longest), dtype=torch.int64)
    labels_RN = torch.full((len(rows), longest), IGNORED_LABEL)
    questions_RN = torch.zeros((len(rows), longest), dtype=torch.int64)
    for number, row in enumerate(rows):
        length = len(row.ids)
        input_ids_RN[number, :length] = torch.tensor(row.ids)
        mask_RN[number, :length] = 1
        labels_RN[number, :length] = torch.tensor(row.labels)
        questions_RN[number, :length] = torch.tensor(row.questions)
        questions_RN[number, length:] = row.questions[-1]
    media = [medium for row in rows for medium in row.media]
    return Batch(
        input_ids=input_ids_RN, attention_mask=mask_RN, labels=labels_RN, question_ids=questions_RN,
        pixel_values=torch.cat(media) if media else None,
        media_sizes=torch.from_numpy(np.array([len(medium) for medium in media])) if media else None,
        sample_ids=tuple(row.sample_ids for row in rows))
