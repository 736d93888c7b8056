"""Merging similar neighbours place by place, MA-LMM's memory bank (arXiv 2404.05726): when the bank is full, at each
place of the picture the two most similar neighbours in time are averaged, weighted by the frames they stand for.

As published: the bank's length is fixed, similarity is the cosine, each place merges where it likes. Not as published:
there is no Q-Former with a bank of queries beside the bank of pictures, and the bank holds one frame in `factor` of the
video, so that the factor can be chosen; the published length is 20, whatever the video. The bank's length must be known
before the first frame, so frames are held until the last has come.
"""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Iterator
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from model.evaluation.methods.kept_tokens import Frames, Kept


def merge_places(frames: Frames, factor: int) -> Iterator[Kept]:
    """Merge to one bank of a `factor`-th of the frames, all of it passed on at the end."""
    waiting = list(frames)
    if not waiting:
        return
    length = ceil(len(waiting) / factor)
    bank_MVC = torch.stack(waiting[:length])
    sizes_MV = torch.ones(bank_MVC.shape[:2], dtype=torch.long, device=bank_MVC.device)
    for tokens_VC in waiting[length:]:
        bank_MVC = torch.cat((bank_MVC, tokens_VC[None]))
        sizes_MV = torch.cat((sizes_MV, torch.ones_like(sizes_MV[:1])))
        bank_MVC, sizes_MV = merge_most_similar(bank_MVC, sizes_MV)
    stops_MV = sizes_MV.cumsum(0)
    starts_MV = stops_MV - sizes_MV
    spans = zip(starts_MV.flatten().tolist(), (stops_MV - 1).flatten().tolist(), strict=True)
    yield Kept(bank_MVC.flatten(0, 1), list(spans))


def merge_most_similar(bank_MVC: Tensor, sizes_MV: Tensor) -> tuple[Tensor, Tensor]:
    """At each place merge the most similar pair of neighbours.

    Args:
        bank_MVC: M moments of V places.
        sizes_MV: frames that each stands for.

    Returns:
        The bank and its sizes, one moment shorter.
    """
    moments, places = sizes_MV.shape
    likeness = cosine_similarity(bank_MVC[:-1], bank_MVC[1:], dim=-1)
    merge_V = likeness.argmax(0)
    # Row m of the shorter bank comes from row m up to the merged pair, and from row m + 1 behind it.
    rows = torch.arange(moments - 1, device=bank_MVC.device)[:, None]
    source_MV = rows + (rows > merge_V)
    columns = torch.arange(places, device=bank_MVC.device)
    bank, sizes = bank_MVC[source_MV, columns], sizes_MV[source_MV, columns]
    first, second = (sizes_MV[merge_V + step, columns, None] for step in (0, 1))
    both = (bank_MVC[merge_V, columns] * first + bank_MVC[merge_V + 1, columns] * second) / (first + second)
    bank[merge_V, columns] = both.to(bank.dtype)
    sizes[merge_V, columns] = (first + second).squeeze(1)
    return bank, sizes
