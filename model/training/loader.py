"""The training loader: batches of packed rows from a mixture of shards, epoch after epoch."""

from collections.abc import Iterator
from typing import Any

from model.processing_video_xl import VideoXLProcessor
from model.training.batch import Batch
from model.training.loader_facts import LoaderFacts
from model.training.loader_settings import LoaderSettings
from model.training.mixture import Mixture


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
        ShardError: a table has a wrong schema, is truncated, or is of a data set that was never finished.
        MixtureError: two sources take the same samples.
        TooMuchBadError: more samples are unusable than `settings.max_bad_fraction` allows.

    Data sets that are not there raise nothing before the first batch is asked for: `facts().missing` names them.
    """

    def __init__(
        self, mixture: Mixture, processor: VideoXLProcessor, settings: LoaderSettings, rank: int, world_size: int,
        seed: int, workers: int,
    ) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the present position on, without end.

        Raises:
            MixtureError: something is missing on the disk, or there is no sample at all.
            ShardError: a file cannot be read.
            TooMuchBadError: too many samples turned out to be unusable.
        """
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0."""
        raise NotImplementedError

    @property
    def bad(self) -> dict[str, int]:
        """Samples whose pictures turned out to be unusable while reading, on this rank, by reason."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The exact position, as plain values that JSON can hold: the same on every rank but for `bad`."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken: the batches that follow are the same to the bit.

        The number of workers may differ, and that of ranks where rows x world_size is the same.

        Raises:
            LoaderStateError: it belongs to other data, another mixture, seed or global batch.
        """
        raise NotImplementedError

    def facts(self) -> LoaderFacts:
        """What is missing, how many samples, rows and batches an epoch has, what was left out and why."""
        raise NotImplementedError
