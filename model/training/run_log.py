"""What a run says of itself while it goes on: JSON lines, TensorBoard, and the samples of each step."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from model.training.batch import Batch


class RunLog:
    """`RUN/log.jsonl` and `RUN/tensorboard` of the first rank, `RUN/samples/rank-00000.jsonl` of every one.

    What an earlier, broken attempt wrote behind the step that is gone on from is cut off, that of ranks which there are
    no longer included.

    Args:
        run: folder of the run.
        rank: of this process.
        size: how many ranks there are.
        step: steps done before.
    """

    def __init__(self, run: Path, rank: int, size: int, step: int) -> None:
        folder = run / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        own = [folder / f"rank-{number:05d}.jsonl" for number in range(size)]
        for path in sorted(set(folder.glob("rank-*.jsonl")) - set(own)) if rank == 0 else ():
            _open_behind(path, step).close()
        self._samples = _open_behind(own[rank], step)
        self._lines = _open_behind(run / "log.jsonl", step) if rank == 0 else None
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1) if rank == 0 else None

    def step(self, step: int, figures: dict[str, float], batches: list[Batch]) -> None:
        """Write down a step, numbered from 1, and the samples that this rank saw in it.

        Raises:
            OSError: the disk is full, say.
        """
        ids = [sample for batch in batches for row in batch.sample_ids for sample in row]
        self._samples.write(json.dumps({"step": step, "sample_ids": ids}) + "\n")
        self._samples.flush()
        if self._lines is not None:
            self._lines.write(json.dumps({"step": step, **figures}) + "\n")
            self._lines.flush()
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files. What cannot be written any more has made `step` fail already; TensorBoard draws no more than
        the lines hold.
        """
        for one in (self._samples, self._lines, self._board):
            with suppress(OSError):
                if one is not None:
                    one.close()


def read_log(run: Path) -> list[dict[str, Any]]:
    """The figures of every step so far."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def _open_behind(path: Path, step: int) -> Any:
    """The file, opened for more, without whole or broken lines of later steps. It is cut off where it lies: on a full
    disk it could not be written anew.
    """
    kept = 0
    if path.is_file():
        for line in path.read_bytes().splitlines(keepends=True):
            # A line without end was being written when the process was killed or the disk was full.
            if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                break
            kept += len(line)
    file = path.open("a")
    file.truncate(kept)
    return file
