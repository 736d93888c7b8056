"""Many tensors in safetensors files of a bounded size, written as they come."""

import json
from collections.abc import Iterator
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

MOST_BYTES = 2 << 30


class TensorFiles:
    """Writes `stem.safetensors`, or `stem-00001-of-00003.safetensors` ... with an index, as transformers reads them.

    Args:
        folder: where; it exists.
        stem: how the files begin.
        most_bytes: a file is closed when it holds so many.
    """

    def __init__(self, folder: Path, stem: str, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._stem, self._most_bytes = folder, stem, most_bytes
        self._waiting: dict[str, Tensor] = {}
        self._bytes = 0
        self._total = 0
        self._parts: list[tuple[Path, list[str]]] = []

    def add(self, name: str, tensor: Tensor) -> None:
        """Take in one tensor.

        Raises:
            OSError, SafetensorError: a file cannot be written.
        """
        self._waiting[name] = tensor.cpu().contiguous()
        self._bytes += tensor.nbytes
        if self._bytes >= self._most_bytes:
            self._write()

    def close(self) -> None:
        """Write what waits, and the index where there are several files.

        Raises:
            OSError, SafetensorError: a file cannot be written.
        """
        if self._waiting or not self._parts:
            self._write()
        if len(self._parts) == 1:
            self._parts[0][0].rename(self._folder / f"{self._stem}.safetensors")
            return
        where = {}
        for number, (path, names) in enumerate(self._parts, 1):
            final = f"{self._stem}-{number:05d}-of-{len(self._parts):05d}.safetensors"
            path.rename(self._folder / final)
            where |= dict.fromkeys(names, final)
        index = {"metadata": {"total_size": self._total}, "weight_map": where}
        (self._folder / f"{self._stem}.safetensors.index.json").write_text(json.dumps(index, indent=1))

    def _write(self) -> None:
        path = self._folder / f"{self._stem}.part{len(self._parts):05d}"
        save_file(self._waiting, path, metadata={"format": "pt"})
        self._parts.append((path, list(self._waiting)))
        self._total += self._bytes
        self._waiting, self._bytes = {}, 0


def stored_tensors(folder: Path, stem: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of such files, one at a time."""
    for path in sorted([*folder.glob(f"{stem}.safetensors"), *folder.glob(f"{stem}-*-of-*.safetensors")]):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                yield name, file.get_tensor(name)
