"""Samples to rows: all questions about the same frames stand behind one visual prefix.

Which questions share a row is fixed by the seed and the data; epochs differ in the order of rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.training.loader_settings import LoaderSettings
from model.training.sample_table import ALONE, SampleTable


@dataclass(frozen=True, slots=True)
class Rows:
    """R rows over n samples."""

    begin: np.ndarray
    """int64 [R + 1]: the first sample of each row in `samples`."""
    samples: np.ndarray
    """int64 [n]: numbers in the sample table, row after row."""

    def __len__(self) -> int:
        return len(self.begin) - 1

    @property
    def first_samples(self) -> np.ndarray:
        """int64 [R]: the first sample of each row."""
        return self.samples[self.begin[:-1]]

    def of(self, row: int) -> np.ndarray:
        """The samples of one row."""
        return self.samples[self.begin[row]:self.begin[row + 1]]


def pack(table: SampleTable, settings: LoaderSettings, seed: int) -> Rows:
    """Pack samples that have source and key in common.

    A row holds at most `most_questions` of them and at most `most_tokens` text tokens, each sample counted with
    the upper bound that its bytes give. Packed questions stand at the same positions, so the position range bounds each
    of them as if it stood alone.

    Args:
        table: no sample of it is longer than `most_tokens` or the position range by itself.
        settings: the bounds.
        seed: of the choice which questions come together.
    """
    order = np.lexsort((np.random.default_rng([seed, 0]).permutation(len(table.key)), table.key, table.source))
    lengths = np.fromiter(_row_lengths(table, order, settings), np.int64)
    return Rows(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), order)


def _row_lengths(table: SampleTable, order: np.ndarray, settings: LoaderSettings) -> Iterator[int]:
    """How many samples, in `order`, each row takes."""
    questions, tokens, subject = 0, 0, None
    facts = zip(table.source[order].tolist(), table.key[order].tolist(), table.text[order].tolist(), strict=True)
    for source, key, text in facts:
        is_same = key != ALONE and (source, key) == subject
        if questions and not (is_same and questions < settings.most_questions
                              and tokens + text <= settings.most_tokens):
            yield questions
            questions, tokens = 0, 0
        questions, tokens, subject = questions + 1, tokens + text, (source, key)
    if questions:
        yield questions
