"""Rows to batches: words are tokenised, pictures decoded. This is what the loader's workers do."""
# ruff: noqa: N806 (names end in the shape of the tensor)

import math
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread

import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from model.processing_video_xl import VideoXLProcessor
from model.token_loss import IGNORED_LABEL
from model.training.batch import Batch
from model.training.frame_table import FrameReader, FrameTable
from model.training.loader_settings import LoaderSettings
from model.training.media_reader import Medium, PictureError, PixelReader, crops_of, shown_media
from model.training.mixture import MixtureSource
from model.training.packing import Rows
from model.training.sample_table import SampleReader, SampleTable, TileCount
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
    pixels: Tensor | None
    sizes: tuple[int, ...]
    sample_ids: tuple[str, ...]


def leave_stopping_to_the_parent(worker: int) -> None:
    """Make a worker deaf to SIGINT and SIGTERM of others: a whole process group is asked to stop with the process that
    trains, which still needs the batches of the step at hand. Only that process ends its workers.

    Args:
        worker: its number.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Ignored for good, SIGTERM of a parent that ends with an error would leave it waiting for ever.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Thread(target=_end_when_the_parent_says, daemon=True).start()


def _end_when_the_parent_says() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


class RowReader(Dataset):
    """Reads batches by the numbers of their rows. What it keeps open, each process opens for itself."""

    def __init__(
        self, rows: Rows, samples: SampleTable, frames: FrameTable, sources: Sequence[MixtureSource],
        processor: VideoXLProcessor, settings: LoaderSettings, groups_kept: int,
    ) -> None:
        self._rows, self._samples, self._frames = rows, samples, frames
        self._sources, self._processor, self._settings = sources, processor, settings
        self._groups_kept = groups_kept
        self._tiles_of = TileCount(processor.grid_pinpoints, processor.size)
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
            pixels, sizes = self._read_pixels(shown, source)
        except PictureError as error:
            bad += [BadSample(sample_id, "picture_unreadable", str(error)) for sample_id in sample_ids]
            return self._filler()
        packed = [self._ids(sample["conversations"]) for sample in samples]
        return _ReadRow(*_packed(packed), pixels, sizes, sample_ids)

    def _read_pixels(self, media: Sequence[Medium], source: MixtureSource) -> tuple[Tensor | None, tuple[int, ...]]:
        """Pixel values [F, 3, S, S] of the media of a row, and how many crops each has."""
        if not media:
            return None, ()
        sizes = tuple(crops_of(medium, self._frames, source, self._tiles_of) for medium in media)
        side = self._processor.size
        pixels = _new_pixels((sum(sizes), 3, side, side))
        for part, medium in zip(pixels.split(sizes), media, strict=True):
            self._pixels.fill(part, medium, source)
        return pixels, sizes

    def _ids(self, conversation: Sequence[dict[str, str]]) -> TrainingIds:
        return training_ids(self._processor, conversation, self._settings.template, self._settings.published_labels)

    def _filler(self) -> _ReadRow:
        ids = self._processor.prefix_ids()
        return _ReadRow(ids, [IGNORED_LABEL] * len(ids), [0] * len(ids), None, (), ())

    def _pad_id(self) -> int:
        pad, end = self._processor.tokenizer.pad_token_id, self._processor.tokenizer.eos_token_id
        return pad if pad is not None else end if end is not None else 0


def _new_pixels(shape: tuple[int, ...]) -> Tensor:
    """A tensor to fill; in a worker in memory that it shares with the loader, so that nothing is copied on the way."""
    pixels = torch.empty(0)
    if get_worker_info() is not None:
        storage = pixels._typed_storage()._new_shared(math.prod(shape), device=pixels.device)
        pixels = pixels.new(storage)
    return pixels.resize_(shape)


def _joined(pixels: Sequence[Tensor]) -> Tensor:
    """Pixel values of several rows, one after another."""
    if len(pixels) == 1:
        return pixels[0]
    return torch.cat(list(pixels), out=_new_pixels((sum(map(len, pixels)), *pixels[0].shape[1:])))


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
    pixels = [row.pixels for row in rows if row.pixels is not None]
    sizes = [size for row in rows for size in row.sizes]
    return Batch(
        input_ids=input_ids_RN, attention_mask=mask_RN, labels=labels_RN, question_ids=questions_RN,
        pixel_values=_joined(pixels) if pixels else None,
        media_sizes=torch.tensor(sizes) if sizes else None,
        sample_ids=tuple(row.sample_ids for row in rows))
