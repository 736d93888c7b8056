"""Two tokens a frame, LLaMA-VID's way (arXiv 2311.17043): one that the question asks for, and the frame's mean.

As published: a context token, the mean over the question's tokens of what each finds by softmax attention over the
frame; content tokens, means of equal parts of the frame (one for video; more at smaller factors); context first. **Not
as published: every trained part.** Published, the question goes through a text decoder trained for this and both kinds
of token through projectors of their own. Here the question's tokens are the language model's own embeddings, and no
projector stands behind. So this shows what the layout gives a model that was not trained for it, not what LLaMA-VID
can do.

What is kept depends on the question, so every question needs a look of its own.
"""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Iterator

import torch
from torch import Tensor

from model.evaluation.methods.kept_tokens import Frames, Kept, grid_of, side_of, whole_frame
from model.evaluation.methods.pool_space import mean_cells


def two_tokens(frames: Frames, factor: int, question_QC: Tensor) -> Iterator[Kept]:
    """Pass on one context token and the content tokens of each frame.

    Args:
        frames: visual tokens of each frame.
        factor: of a frame's tokens one in so many is kept; two or more must be left.
        question_QC: embeddings of the question's tokens.

    Raises:
        ValueError: a frame would keep one token only, or its content cannot be cut into equal parts.
    """
    for number, tokens_VC in enumerate(frames):
        content = mean_cells(tokens_VC, content_grid(len(tokens_VC), factor))
        yield whole_frame(torch.cat((context_token(tokens_VC, question_QC)[None], content)), number, number)


def content_grid(tokens: int, factor: int) -> tuple[int, int]:
    """Rows and columns of a frame's content tokens.

    Raises:
        ValueError: the frame would keep one token only, or its content cannot be cut into equal parts.
    """
    left = tokens // factor
    if left < 2 or tokens % factor:
        raise ValueError(f"of {tokens} tokens a frame, factor {factor} leaves no two or more")
    return grid_of(left - 1, side_of(tokens))


def context_token(tokens_VC: Tensor, question_QC: Tensor) -> Tensor:
    """What a question finds in a frame, [C]."""
    scores_QV = question_QC.to(tokens_VC) @ tokens_VC.T / tokens_VC.shape[1] ** 0.5
    return (scores_QV.softmax(-1) @ tokens_VC).mean(0)
