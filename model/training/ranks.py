"""The processes of a training run: one alone, or those that torchrun started."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh


class NoDeviceError(Exception):
    """The device that was asked for is not there."""


@dataclass(frozen=True)
class Ranks:
    """Who this process is among the others.

    Attributes:
        rank: from 0.
        size: how many there are.
        device: where this one computes.
        mesh: over all of them; None for one alone.
    """

    rank: int
    size: int
    device: torch.device
    mesh: DeviceMesh | None

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def sums(self, values: list[float]) -> list[float]:
        """Each value added up over all ranks."""
        if self.mesh is None:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def gathered(self, value: Any) -> list[Any]:
        """What each rank gives, in order, on every rank."""
        if self.mesh is None:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values


@contextmanager
def start_ranks(device: str, environment: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """Join the others, if torchrun started any (RANK, LOCAL_RANK and WORLD_SIZE say so), and part at the end.

    Args:
        device: "cpu", "cuda", or "auto": the second where there is one.
        environment: of this process.

    Raises:
        NoDeviceError: there is no GPU for this process.
    """
    kind = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    place = torch.device(kind, int(environment.get("LOCAL_RANK", 0))) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        _take(place)
    size = int(environment.get("WORLD_SIZE", 1))
    if size == 1:
        yield Ranks(0, 1, place, None)
        return
    dist.init_process_group("nccl" if kind == "cuda" else "gloo", device_id=place if kind == "cuda" else None)
    try:
        yield Ranks(dist.get_rank(), size, place, init_device_mesh(kind, (size,)))
    finally:
        dist.destroy_process_group()


def _take(place: torch.device) -> None:
    count = torch.cuda.device_count()
    if place.index >= count:
        raise NoDeviceError(f"--device cuda: PyTorch finds {count} GPUs here, and process {place.index}, counted "
                            "from 0, wants one of its own; --device cpu does without")
    torch.cuda.set_device(place)
