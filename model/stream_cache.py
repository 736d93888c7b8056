"""Where a call to the model stopped, so that the next can continue: `past_key_values` of this model."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from model.kept_rows import KeptRows
from model.rotary import Positions


@dataclass
class StreamCache:
    """One stream: the rows it kept, how its positions become angles, and the ratio of each window in it."""

    rows: KeptRows
    positions: Positions
    ratios: tuple[int, ...] = ()

    def copy(self) -> "StreamCache":
        """A stream that can go on by itself."""
        return StreamCache(self.rows.copy(), self.positions, self.ratios)


@dataclass
class StreamCaches:
    """The streams of a batch.

    Attributes:
        streams: one a sample.
        columns: columns of ids, padding included, that the batch was given.
    """

    streams: list[StreamCache]
    columns: int = 0

    is_compileable: ClassVar[bool] = False
    is_croppable: ClassVar[bool] = False

    def copy(self) -> "StreamCaches":
        """Caches that can go on by themselves."""
        return StreamCaches([stream.copy() for stream in self.streams], self.columns)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns of `input_ids` that are done, as `generate` asks for them."""
        return self.columns

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let stream i go on from stream `beam_idx[i]`."""
        self.streams = [self.streams[i].copy() for i in beam_idx.tolist()]
