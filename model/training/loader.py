"""The training loader: batches of packed rows from a mixture of shards, epoch after epoch.

Mixture -> samples (`sample_table.py`) and frames (`frame_table.py`) -> rows (`packing.py`) -> the order of an
epoch (`epoch_order.py`) -> batches (`row_reader.py`, in worker processes).
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from model.processing_video_xl import VideoXLProcessor
from model.training.batch import Batch
from model.training.epoch_order import rows_of_epoch, rows_per_epoch, shuffled
from model.training.frame_table import FrameTable, read_frame_table
from model.training.loader_facts import LoaderFacts, SourceFacts
from model.training.loader_settings import LoaderSettings
from model.training.media_reader import crops_of, shown_media
from model.training.missing_parts import missing_parts
from model.training.mixture import Mixture, MixtureError
from model.training.packing import Rows, pack
from model.training.row_length import a_ratio_fits, may_be_too_long, may_fit_no_ratio, positions_needed, runs_of
from model.training.row_reader import FILLER, ReadBatch, RowReader, leave_stopping_to_the_parent
from model.training.sample_table import SampleReader, SampleScan, SampleTable, SourceCounts, TextCosts, TileCount
from model.training.shard_files import ShardError, holds_data_set
from model.training.training_ids import training_ids

_MOST_EXAMPLES = 5
_SPARE_GROUPS = 2
_PREFETCHED_BATCHES = 2
_NOT_OF_THE_ORDER = {"rows", "max_bad_fraction", "ratios"}
"""Settings that may change from one run to the next: of the rows only their number in a global batch counts, of the
ratios the smallest, and which samples they leave.
"""


class TooMuchBadError(Exception):
    """More samples are unusable than the settings allow; the message names some."""


class LoaderStateError(Exception):
    """A loader's state belongs to other data or another recipe."""


class TrainingLoader:
    """Batches for one rank, epoch after epoch, without end.

    * The rows of an epoch come in one order, fixed by the seed, the epoch and the data. Global batch b holds the
      rows b·G ... (b+1)·G - 1 of it, G = rows x world_size. So the samples of a step do not depend on the
      number of ranks among which the G rows are shared out, and nothing depends on the number of workers.
    * Every rank gets the same number of batches of the same number of rows. What is missing at the end of an epoch
      is filled up with filler rows: words only, every label -100, no sample ids. A sample whose picture cannot
      be decoded makes its row a filler too; it is counted in `bad`. **A batch may thus be without any label.**
    * `state_dict` says which batch comes next, whatever workers have prepared already.

    Args:
        mixture: what to train on.
        processor: tokenizer and pixels of the model.
        settings: how rows are made.
        rank, world_size: which of the ranks this one is.
        seed: of the order.
        workers: processes that read and decode; 0: this one does.

    Raises:
        ShardError: a table has a wrong schema or is truncated.
        MixtureError: two sources take the same samples.
        TooMuchBadError: more samples are unusable than `settings.max_bad_fraction` allows.

    What is not there (`missing_parts`) raises nothing before the first batch is asked for, so that a dry run can tell
    of what is.
    """

    def __init__(
        self, mixture: Mixture, processor: VideoXLProcessor, settings: LoaderSettings, rank: int, world_size: int,
        seed: int, workers: int,
    ) -> None:
        self._mixture, self._processor, self._settings = mixture, processor, settings
        self._rank, self._world_size, self._seed, self._workers = rank, world_size, seed, workers
        roots = [folder for folder in mixture.folders if holds_data_set(folder)]
        tiles_of = TileCount(processor.grid_pinpoints, processor.size)
        self._frames: FrameTable = read_frame_table(roots)
        scan = SampleScan(mixture, roots, self._frames, _text_costs(processor), tiles_of)
        self._counts: list[SourceCounts] = scan.counts
        table = _fitting(scan.run(), self._counts, mixture, self._frames, processor, settings, tiles_of)
        self._check_bad_share(len(table.source))  # a cap leaves out samples, and of those read none that is unusable
        self._samples: SampleTable = _capped(table, self._counts, mixture)
        self._rows: Rows = pack(self._samples, settings, seed)
        self._chunks = _chunks(self._rows, self._samples, self._frames, settings.streams)
        self._content = _content(self._samples, self._chunks)
        source_of_row = self._samples.source[self._rows.first_samples]
        self._rows_of_source = [np.flatnonzero(source_of_row == number) for number in range(len(mixture.sources))]
        self._epoch, self._batch = 0, 0
        self._bad: Counter[str] = Counter()
        self._bad_of_epoch: dict[str, str] = {}

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the present position on, without end.

        Raises:
            MixtureError: something is missing on the disk, or there is no sample at all.
            ShardError: a file cannot be read.
            TooMuchBadError: too many samples turned out to be unusable; raised for one rank alone, see `check_bad`.
        """
        self.check_complete()
        reader = RowReader(
            self._rows, self._samples, self._frames, self._mixture.sources, self._processor, self._settings,
            groups_kept=self._groups_met + _SPARE_GROUPS)
        # With a generator of its own it takes no number from torch's, which the training may use.
        loader = DataLoader(
            reader, batch_size=None, sampler=_Jobs(self), num_workers=self._workers, collate_fn=_as_it_is,
            prefetch_factor=_PREFETCHED_BATCHES if self._workers else None, generator=torch.Generator(),
            worker_init_fn=leave_stopping_to_the_parent)
        for read in loader:
            if isinstance(read, ShardError):
                raise read
            self._step(read)
            yield read.batch

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0."""
        return self._epoch

    @property
    def bad(self) -> dict[str, int]:
        """Samples whose pictures turned out to be unusable while reading, on this rank, by reason."""
        return dict(self._bad)

    @property
    def bad_of_epoch(self) -> dict[str, str]:
        """Samples that turned out to be unusable in the epoch of the last batch, on this rank: what is wrong, by id.

        A sample that an epoch shows several times is one."""
        return dict(self._bad_of_epoch)

    @property
    def most_bad(self) -> float:
        """How many samples of an epoch may turn out to be unusable on all ranks together."""
        return self._settings.max_bad_fraction * len(self._rows.samples)

    def check_bad(self, of_ranks: Sequence[dict[str, str]]) -> None:
        """See that no more samples turned out to be unusable than may.

        One rank alone sees to it itself. Of several none knows how many the others found: who trains with them asks all
        ranks behind each batch.

        Args:
            of_ranks: the `bad_of_epoch` of each.

        Raises:
            TooMuchBadError: there are more.
        """
        bad = {sample_id: said for one in of_ranks for sample_id, said in one.items()}
        if len(bad) > self.most_bad:
            raise TooMuchBadError(_too_much(len(bad), self.most_bad, self._settings, list(bad.values())))

    def state_dict(self) -> dict[str, Any]:
        """The exact position, as plain values that JSON can hold: the same on every rank but for `bad`."""
        return {
            "epoch": self._epoch, "batch": self._batch, "data": self._fingerprint(), "content": self._content,
            "bad": dict(self._bad), "bad_of_epoch": list(self._bad_of_epoch.values()) if self._batch else []}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken: the batches that follow are the same to the bit.

        The number of workers may differ, and that of ranks where rows x world_size is the same.

        Raises:
            LoaderStateError: it belongs to other data, another mixture, seed or global batch.
        """
        # A state of a release that did not note the content says nothing of it.
        if state["data"] != self._fingerprint() or state.get("content", self._content) != self._content:
            raise LoaderStateError(
                "the loader's state was taken with other shards (or their samples changed, or were written into other "
                "row groups), another mixture, seed, packing or number of rows in a global batch: resume with those, "
                "or begin anew without the state")
        self._epoch, self._batch = int(state["epoch"]), int(state["batch"])
        self._bad = Counter(state["bad"])
        self._bad_of_epoch = {said.split(": ", 1)[0]: said for said in state["bad_of_epoch"]}

    def facts(self) -> LoaderFacts:
        """How many samples, rows and batches an epoch has, what was left out and why."""
        samples = np.bincount(self._samples.source, minlength=len(self._mixture.sources))
        sources = tuple(
            SourceFacts(
                name=source.name, samples=int(samples[number]), rows=len(rows),
                rows_per_epoch=rows_per_epoch(len(rows), source.weight), left_out=dict(counts.left_out),
                bad=dict(counts.bad),
                kinds_not_there=tuple(kind for kind in source.kinds or () if kind not in counts.kinds))
            for number, (source, counts, rows) in enumerate(
                zip(self._mixture.sources, self._counts, self._rows_of_source, strict=True)))
        crops = self._samples.crops[self._rows.first_samples]
        text = np.add.reduceat(self._samples.text[self._rows.samples], self._rows.begin[:-1]) if len(crops) else crops
        rows = sum(source.rows_per_epoch for source in sources)
        return LoaderFacts(
            sources=sources, rows_per_epoch=rows, batches_per_epoch=self.batches_per_epoch,
            filler_rows_per_epoch=self.batches_per_epoch * self._global_rows - rows,
            largest_crops=int(crops.max(initial=0)), mean_crops=float(crops.mean()) if len(crops) else 0.0,
            largest_text=int(text.max(initial=0)))

    def check_complete(self) -> None:
        """See that all is there, which `__iter__` does too, before its first batch.

        Raises:
            MixtureError: something is missing on the disk, or no sample of a source is left.
        """
        missing = missing_parts(self._mixture)
        if missing:
            raise MixtureError("\n  - ".join([
                "not all is there: build or import what is missing, or take it out of the mixture", *missing]))
        facts = self.facts()
        if facts.emptied:
            raise MixtureError("\n".join([*facts.emptied, "what was left out:", *facts.lines()]))

    @property
    def batches_per_epoch(self) -> int:
        """Batches of this rank, and of every other one, in each epoch."""
        rows = sum(rows_per_epoch(len(rows), source.weight)
                   for rows, source in zip(self._rows_of_source, self._mixture.sources, strict=True))
        return -(-rows // self._global_rows)

    def jobs(self, epoch: int, first_batch: int) -> Iterator[tuple[int, ...]]:
        """The rows of each batch of this rank in one epoch."""
        weights = [source.weight for source in self._mixture.sources]
        rows = rows_of_epoch(self._rows_of_source, weights, epoch, self._seed)
        order = shuffled(rows, self._chunks[rows], self._settings.streams, epoch, self._seed)
        fillers = np.full(self.batches_per_epoch * self._global_rows - len(order), FILLER)
        of_batches = np.concatenate([order, fillers]).reshape(self.batches_per_epoch, self._settings.rows, -1)
        yield from (tuple(batch.tolist()) for batch in of_batches[first_batch:, :, self._rank])

    @property
    def _global_rows(self) -> int:
        return self._settings.rows * self._world_size

    @property
    def _groups_met(self) -> int:
        """Row groups from which the rows of this rank come at a time."""
        if self._is_one_chunk:
            return self._settings.streams
        return self._settings.streams // math.gcd(self._settings.streams, self._world_size)

    @property
    def _is_one_chunk(self) -> bool:
        return not self._chunks.any()

    def _step(self, read: ReadBatch) -> None:
        """Note that a batch is handed out."""
        if not self._batch:
            self._bad_of_epoch = {}
        self._batch += 1
        self._bad.update(one.reason for one in read.bad)
        self._bad_of_epoch |= {one.sample_id: f"{one.sample_id}: {one.detail}" for one in read.bad}
        if self._batch == self.batches_per_epoch:
            self._epoch, self._batch = self._epoch + 1, 0
        if self._world_size == 1:
            self.check_bad([self.bad_of_epoch])

    def _check_bad_share(self, usable: int) -> None:
        bad = sum((counts.bad for counts in self._counts), Counter())
        allowed = self._settings.max_bad_fraction * (usable + bad.total())
        if bad.total() > allowed:
            reasons = [f"{reason}: {count:,}" for reason, count in bad.most_common()]
            raise TooMuchBadError(_too_much(bad.total(), allowed, self._settings, reasons))

    def _fingerprint(self) -> str:
        """What the order of rows depends on."""
        mixture = self._mixture.model_dump(mode="json", exclude={"shards": True, "sources": {"__all__": {"shards"}}})
        settings = {name: value for name, value in asdict(self._settings).items() if name not in _NOT_OF_THE_ORDER}
        settings["smallest_ratio"] = self._settings.smallest_ratio
        said = [mixture, settings, self._global_rows, self._seed, self._samples.digest]
        if self._is_one_chunk:  # older releases put such rows in another order; states about more data stay good
            said.append("one chunk")
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
        digest.update(self._rows.samples.tobytes() + self._rows.begin.tobytes())
        return digest.hexdigest()[:32]


def state_of_rank(states: Sequence[dict[str, Any]], rank: int, size: int) -> dict[str, Any]:
    """The state that one of `size` ranks goes on with.

    Args:
        states: of every rank that there was, all at the same position; of fewer or more ranks, what they found to be
            unusable is shared out.
    """
    if len(states) == size:
        return states[rank]
    bad = sum((Counter(state["bad"]) for state in states), Counter())
    of_epoch = [entry for state in states for entry in state["bad_of_epoch"]]
    return {**states[0], "bad": dict(bad) if rank == 0 else {}, "bad_of_epoch": of_epoch[rank::size]}


class _Jobs:
    """The rows of all batches from a loader's position on, as torch asks for them."""

    def __init__(self, loader: TrainingLoader) -> None:
        self._loader = loader
        self._epoch, self._batch = loader.epoch, loader.state_dict()["batch"]

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        epoch, batch = self._epoch, self._batch
        while True:
            yield from self._loader.jobs(epoch, batch)
            epoch, batch = epoch + 1, 0


def _as_it_is(read: Any) -> Any:
    return read


def _text_costs(processor: VideoXLProcessor) -> TextCosts:
    """What the chat template adds to words, in bytes."""
    turns = [{"role": role, "content": ""} for role in ("user", "assistant")]
    one, two = (len(processor.apply_chat_template(turns * times, tokenize=False).encode()) for times in (1, 2))
    return TextCosts(conversation=one, turn=-(-(two - one) // 2))


def _fitting(
    table: SampleTable, counts: list[SourceCounts], mixture: Mixture, frames: FrameTable, processor: VideoXLProcessor,
    settings: LoaderSettings, tiles_of: TileCount,
) -> SampleTable:
    """Leave out samples that need more positions or text tokens than there are, or that no ratio fits; only doubtful
    ones are tokenised.
    """
    words = SampleReader(table, groups_kept=1)
    text = table.text.copy()
    fits = np.ones(len(text), bool)
    for number in np.flatnonzero(may_be_too_long(table, settings) | may_fit_no_ratio(table, settings)).tolist():
        sample, source = words.read(number), mixture.sources[int(table.source[number])]
        said = training_ids(processor, sample["conversations"], settings.template, published_labels=False)
        media = shown_media(frames, sample["media"], words.root(number), source)
        sizes = [crops_of(medium, frames, source, tiles_of) for medium in media]
        runs = runs_of(said.shared + said.question, sizes, processor.media_token_id, settings)
        text[number] = len(said)
        too_long = positions_needed(runs, settings) > settings.position_limit or len(said) > settings.most_tokens
        fits[number] = not too_long and a_ratio_fits(runs, settings)
        if not fits[number]:
            counts[int(table.source[number])].bad["too_long" if too_long else "no_ratio_divides"] += 1
    table.text[:] = text
    return table.keep(fits)


def _capped(table: SampleTable, counts: list[SourceCounts], mixture: Mixture) -> SampleTable:
    """At most `cap` samples of a source: those with the smallest draws."""
    keep = np.ones(len(table.source), bool)
    for number, source in enumerate(mixture.sources):
        mine = np.flatnonzero(table.source == number)
        if source.cap is not None and len(mine) > source.cap:
            over = mine[np.argsort(table.draw[mine], kind="stable")[source.cap:]]
            keep[over] = False
            counts[number].left_out["over_cap"] += len(over)
    return table.keep(keep)


def _chunks(rows: Rows, samples: SampleTable, frames: FrameTable, streams: int) -> np.ndarray:
    """int64 [R]: the row group that each row is read from first: one of frames, or of samples without media.

    All 0 where no more groups are read than may be open: rows then come in a plain random order, and the share of a
    source with few groups is the same from the beginning of an epoch to its end.
    """
    firsts = rows.first_samples
    first_frame = samples.first_frame[firsts]
    of_frames = np.searchsorted(frames.group_start, first_frame, side="right") - 1
    groups = np.where(first_frame >= 0, of_frames, len(frames.group_file) + samples.group[firsts])
    fit_all = max(len(np.unique(groups)), len(np.unique(samples.group[rows.samples]))) <= streams
    return np.zeros_like(groups) if fit_all else groups


def _content(samples: SampleTable, chunks: np.ndarray) -> str:
    """What samples say and show, and which rows share a row group: the order hangs on that, and not on its number."""
    _, group_of_row = np.unique(chunks, return_inverse=True)
    return hashlib.sha256(samples.content.encode() + group_of_row.astype(np.int64).tobytes()).hexdigest()[:32]


def _too_much(count: int, allowed: float, settings: LoaderSettings, examples: list[str]) -> str:
    return "\n  - ".join([
        f"{count:,} samples are unusable, more than max_bad_fraction {settings.max_bad_fraction:g} allows "
        f"({allowed:.1f}): mend the data, or allow more", *examples[:_MOST_EXAMPLES]])
