"""The keys and values that a stream leaves behind, layer by layer.

Rows live in blocks that are never copied when more arrive: a new block is as large as everything before it,
up to `MAX_BLOCK` rows, so that unused room stays small and blocks stay few.

H key heads, P rows, D head size.
"""
# ruff: noqa: N803 (names end in the shape of the tensor)

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

MIN_BLOCK = 256
MAX_BLOCK = 8192


@dataclass
class Block:
    """Room for rows: keys and values [H, capacity, D], of which the first `used` are filled."""

    k: Tensor
    v: Tensor
    used: int

    @property
    def room(self) -> int:
        """Rows that still fit."""
        return self.k.shape[1] - self.used


class KeptRows:
    """Rotated keys, and values, of each layer.

    Rows that carry gradients are held as they come; others are copied into blocks. `shared` rows are read in
    front of the own ones and never written to: many questions can stand on one memory.
    """

    def __init__(self, layers: int, shared: "KeptRows | None" = None) -> None:
        self._blocks: list[list[Block]] = [[] for _ in range(layers)]
        self._shared = shared

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self._blocks)

    def __len__(self) -> int:
        """Rows of one layer, shared ones included."""
        own = sum(block.used for block in self._blocks[0])
        return own + (len(self._shared) if self._shared is not None else 0)

    @property
    def nbytes(self) -> int:
        """Bytes of the filled own rows."""
        return sum(
            block.used * (block.k.nbytes + block.v.nbytes) // block.k.shape[1]
            for blocks in self._blocks
            for block in blocks
        )

    def rows(self, layer: int) -> list[tuple[Tensor, Tensor]]:
        """Runs of keys and values in order, [H, P, D] each, without a copy."""
        own = [(block.k[:, : block.used], block.v[:, : block.used]) for block in self._blocks[layer] if block.used]
        return own if self._shared is None else self._shared.rows(layer) + own

    def append(self, layer: int, k_HPD: Tensor, v_HPD: Tensor) -> None:
        """Take in the rows of one layer."""
        blocks = self._blocks[layer]
        if k_HPD.requires_grad or v_HPD.requires_grad:
            blocks.append(Block(k_HPD, v_HPD, k_HPD.shape[1]))
            return
        done = 0
        while done < k_HPD.shape[1]:
            if not blocks or blocks[-1].room == 0:
                blocks.append(self._new_block(blocks, k_HPD))
            block = blocks[-1]
            take = min(block.room, k_HPD.shape[1] - done)
            block.k[:, block.used : block.used + take] = k_HPD[:, done : done + take]
            block.v[:, block.used : block.used + take] = v_HPD[:, done : done + take]
            block.used += take
            done += take

    def view(self) -> "KeptRows":
        """The rows of this moment, to be shared: rows appended here later do not show in it."""
        twin = KeptRows(self.layers, self._shared)
        twin._blocks = [[replace(block) for block in blocks] for blocks in self._blocks]
        return twin

    def copy(self) -> "KeptRows":
        """Rows of its own with the same content; shared rows stay shared."""
        twin = KeptRows(self.layers, self._shared)
        twin._blocks = [[Block(b.k.clone(), b.v.clone(), b.used) for b in blocks] for blocks in self._blocks]
        return twin

    def to(self, device: torch.device | str) -> "KeptRows":
        """The own rows on another device."""
        twin = KeptRows(self.layers)
        for layer in range(self.layers):
            for k, v in self.rows(layer):
                twin._blocks[layer].append(Block(k.to(device), v.to(device), k.shape[1]))
        return twin

    def contiguous(self) -> Iterator[tuple[Tensor, Tensor]]:
        """For each layer all keys and all values, [H, P, D]; one layer is copied at a time."""
        for layer in range(self.layers):
            runs = self.rows(layer)
            yield torch.cat([k for k, _ in runs], 1), torch.cat([v for _, v in runs], 1)

    @staticmethod
    def _new_block(blocks: list[Block], like_HPD: Tensor) -> Block:
        so_far = sum(block.used for block in blocks)
        rows = min(MAX_BLOCK, max(MIN_BLOCK, so_far))
        shape = (like_HPD.shape[0], rows, like_HPD.shape[2])
        return Block(like_HPD.new_empty(shape), like_HPD.new_empty(shape), 0)
