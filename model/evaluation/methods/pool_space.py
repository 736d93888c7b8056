"""Mean pooling over space: every frame keeps one token for each rectangle of `factor` tokens."""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Iterator

from torch import Tensor
from torch.nn.functional import avg_pool2d

from model.evaluation.methods.kept_tokens import Frames, Kept, grid_of, side_of, whole_frame


def pool_space(frames: Frames, factor: int) -> Iterator[Kept]:
    """Average rectangles, as square as can be: at factor 16 a frame of 12 x 12 tokens becomes 3 x 3, at 8 it
    becomes 6 x 3.

    Raises:
        ValueError: a frame cannot be cut into equal rectangles of so many tokens.
    """
    for number, tokens_VC in enumerate(frames):
        yield whole_frame(mean_cells(tokens_VC, kept_grid(len(tokens_VC), factor)), number, number)


def kept_grid(tokens: int, factor: int) -> tuple[int, int]:
    """Rows and columns of what is left of a frame.

    Raises:
        ValueError: it cannot be cut into equal rectangles of so many tokens.
    """
    if tokens % factor:
        raise ValueError(f"a frame of {tokens} tokens has no equal parts of {factor}")
    return grid_of(tokens // factor, side_of(tokens))


def mean_cells(tokens_VC: Tensor, grid: tuple[int, int]) -> Tensor:
    """The means [rows * columns, C] of equal rectangles of a frame, row by row."""
    side, (rows, columns) = side_of(len(tokens_VC)), grid
    grid_CHW = tokens_VC.unflatten(0, (side, side)).permute(2, 0, 1)
    return avg_pool2d(grid_CHW, (side // rows, side // columns)).flatten(1).T
