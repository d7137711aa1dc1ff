"""Masks for the benchmarks of merged tokens. About as many of their squares have a single class as in real masks."""

from __future__ import annotations

import torch
from torch import Tensor

from mogle_core.model.stream.mask_tokens import Grid
from mogle_core.model.stream.merged_tokens import merge_squares

SHARE = 0.56
"""With this share of one-class squares, 0.58 of the tokens are left. Real masks of 512 pixels keep 0.54 to 0.60."""


def cells_with_squares(grid: Grid, share: float = SHARE) -> Tensor:
    """The cells (1, h, w) of a mask. The first squares, row by row, have one class; the others have two."""
    rows, columns = torch.arange(2 * grid[0]), torch.arange(2 * grid[1])
    cells = 1 + (rows[:, None] + columns) % 2  # two classes like a chessboard's, so no square has only one
    squares = round(share * (grid[0] // 2) * (grid[1] // 2))
    for square in range(squares):
        row, column = (4 * place for place in divmod(square, grid[1] // 2))
        cells[row : row + 4, column : column + 4] = 0
    return cells[None]


def tokens_left(grid: Grid, share: float = SHARE) -> float:
    """The share of mask tokens that are left when the squares of such a mask are merged."""
    merged = merge_squares(cells_with_squares(grid, share), grid)
    return 1.0 if merged is None else merged.count / (grid[0] * grid[1])
