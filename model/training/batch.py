"""What the loader hands to the trainer: one micro-batch."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of packed questions, on the CPU.

    A row is one visual prefix with all questions about it. Where nothing is packed, a row holds one sample and
    `question_ids` is 0 before its question and 1 from there on.
    """

    input_ids: Tensor
    """[R, N] int64, one media mark for each medium."""
    attention_mask: Tensor
    """[R, N], 0 for padding (on the right)."""
    labels: Tensor
    """[R, N], -100 where nothing is learned."""
    question_ids: Tensor
    """[R, N], 0 for what is shared, 1, 2, ... for packed questions; padding has the last one's."""
    pixel_values: Tensor | None
    """[F, 3, S, S] float32: frames and tiles of all media in the order of the marks; None for text alone."""
    media_sizes: Tensor | None
    """[M]: how many frames or tiles each medium has."""
    sample_ids: tuple[tuple[str, ...], ...]
    """The samples of each row, in the order of their questions; none for a row that only fills up its batch."""

    @property
    def samples(self) -> int:
        """How many samples it holds."""
        return sum(map(len, self.sample_ids))

    @property
    def answer_tokens(self) -> int:
        """How many tokens are learned."""
        return int((self.labels != -100).sum())
