"""What a loader knows before it reads a single picture: what --dry-run prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source of the mixture."""

    name: str
    samples: int
    """Samples that are trained on, each once where the weight is 1."""
    rows: int
    """Rows that they are packed into."""
    rows_per_epoch: int
    """Rows of an epoch, the weight counted in."""
    left_out: dict[str, int]
    """Samples left out by rule, by reason: not_train, calibration, duplicate, evidence_unseen, over_cap."""
    bad: dict[str, int]
    """Samples that cannot be used, by reason; they count against `max_bad_fraction`."""
    kinds_not_there: tuple[str, ...] = ()
    """Kinds that it names and of which no sample is there."""


@dataclass(frozen=True, slots=True)
class LoaderFacts:
    """The whole mixture."""

    sources: tuple[SourceFacts, ...]
    rows_per_epoch: int
    batches_per_epoch: int
    """Of each rank; the same in every epoch and on every rank."""
    filler_rows_per_epoch: int
    """Rows without samples that fill up the last batches of an epoch."""
    largest_crops: int
    """Most frames and tiles in one row."""
    mean_crops: float
    largest_text: int
    """Most text tokens in one row: an upper bound, counted in bytes."""

    @property
    def samples(self) -> int:
        """Samples of all sources."""
        return sum(source.samples for source in self.sources)

    @property
    def emptied(self) -> list[str]:
        """Sources of which samples were found and none is left, in words. (Of which none is found, `missing_parts`
        says.)
        """
        return [f"{source.name}: no sample is left" for source in self.sources
                if not source.samples and (source.left_out or source.bad)]

    def lines(self) -> list[str]:
        """The facts in words, a line each."""
        lines = []
        for source in self.sources:
            lines.append(f"{source.name}: {source.samples:,} samples in {source.rows:,} rows, "
                         f"{source.rows_per_epoch:,} rows an epoch")
            lines += [f"  there is no sample of the kind {kind!r}" for kind in source.kinds_not_there]
            lines += [f"  left out, {reason}: {count:,}" for reason, count in sorted(source.left_out.items())]
            lines += [f"  unusable, {reason}: {count:,}" for reason, count in sorted(source.bad.items())]
        lines.append(
            f"an epoch: {self.samples:,} samples, {self.rows_per_epoch:,} rows, {self.batches_per_epoch:,} batches a "
            f"rank ({self.filler_rows_per_epoch} filler rows); at most {self.largest_crops:,} frames and tiles a row, "
            f"{self.mean_crops:.1f} on average; at most {self.largest_text:,} text tokens a row")
        return lines
