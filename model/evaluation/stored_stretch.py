"""A stretch of a video whose frames are stored in a data set of ours, to be looked at like any other video."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.evaluation.frame_policy import FramePolicy
from model.evaluation.viewing import Picture, read_picture
from model.training.frame_table import FrameReader, FrameTable
from pipeline.decode import UnreadableVideoError
from schemas.reasons import Reason
from schemas.uniform_frames import uniform_indexes


@dataclass(frozen=True, slots=True)
class StoredStretch:
    """Frames of `frames`, one a second.

    Attributes:
        root: of the data set.
        video: its video_id.
        start_s, end_s: the stretch, its end not part of it; None: everything.
        frame_indexes: these frames only, in this order; empty: all of the stretch.
        table: where the frames of that data set alone lie.
    """

    root: Path
    video: str
    start_s: float | None
    end_s: float | None
    frame_indexes: tuple[int, ...]
    table: FrameTable = field(compare=False, repr=False)

    @property
    def is_image(self) -> bool:
        """No."""
        return False

    def files(self) -> tuple[Path, ...]:
        """Of the whole data set."""
        return self.table.files

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[float, Picture]]:
        """See `Viewing`. Fewer than are stored are chosen by the rule that the trainer has (`uniform_indexes`), so that
        `min_frames` means what it says; the policy's `placing` is of no matter.
        """
        [video] = self.table.find(pa.array([f"0:{self.video}"]))
        if video < 0:
            raise UnreadableVideoError(Reason.NO_PICTURE, f"{self.root} stores no frames of {self.video}")
        stored = self.table.frames_of(int(video), self.start_s, self.end_s, self.frame_indexes)
        if not len(stored):
            raise UnreadableVideoError(Reason.NO_PICTURE, f"no frame of {self.video} lies in this stretch")
        at_rate = len(stored) if policy.fps is None else ceil(len(stored) * min(1.0, policy.fps))
        frames = stored[uniform_indexes(len(stored), min(policy.most, at_rate))]
        reader = FrameReader(self.table, groups_kept=1)
        for frame in frames:
            [data] = reader.read(np.array([frame]))
            name = f"frame {self.table.frame_index[frame]} of {self.video}"
            yield float(self.table.t_s[frame]), read_picture(BytesIO(data or b""), name)
