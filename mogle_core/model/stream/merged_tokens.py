"""Mask tokens merged inside of regions: `mask_tokens` merged.

Inside of a region all mask tokens say nearly the same. An aligned square of 2 x 2 tokens whose pixels are all of one
class becomes one token: the mean of the four, at the mean of their positions. The logarithm of 4 is added to the
logits of its key, because four equal keys get as much attention as one key with this bias. At the outlines, where a
mask says most, every token stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .mask_tokens import Grid

SQUARE = 4
"""Tokens of a square."""

HIDDEN = -1e4
"""The bias of a key that no query sees. Attention in chunks makes NaN of a chunk of keys that are all at -inf."""


@dataclass(frozen=True, eq=False)
class Merged:
    """The tokens of a grid after merging. K is the largest number of tokens that a picture of the batch keeps.

    members: (B, K, 4), the grid positions of the four tokens behind each merged one. A token that was not merged is
        listed four times. B is 1 if the tokens are merged alike in all pictures.
    bias: (B, K) float32, for the logits of its key: the logarithm of how many tokens it stands for. A picture with
        fewer tokens is filled up with keys at `HIDDEN`.
    """

    members: Tensor
    bias: Tensor

    @property
    def count(self) -> int:
        """How many tokens remain: K."""
        return self.members.shape[1]

    @property
    def alike(self) -> bool:
        """Whether the same tokens are merged in all pictures of the batch."""
        return len(self.members) == 1

    def take(self, tokens: Tensor) -> Tensor:
        """Merge tokens or positions (1 or B, L, C) -> (1 or B, K, C)."""
        batch = max(len(tokens), len(self.members))
        tokens, members = tokens.expand(batch, -1, -1), self.members.expand(batch, -1, -1)
        four = tokens.gather(1, members.flatten(1)[..., None].expand(-1, -1, tokens.shape[-1]))
        first, second, third, fourth = torch.unflatten(four.float(), 1, members.shape[1:]).unbind(dim=2)
        # In pairs, so that the mean of four equal numbers is that number to the bit.
        means: Tensor = ((first + second) + (third + fourth)) / SQUARE
        return means.to(tokens)

    def row(self, like: Tensor) -> Tensor:
        """The bias as a row (B, 1, 1, K) of an attention mask over the mask tokens, in the dtype of `like`."""
        return self.bias[:, None, None].to(like)


def merge_squares(cells: Tensor, grid: Grid, device: torch.device | None = None) -> Merged | None:
    """Find what can be merged in a batch of masks; None if nothing can. Waits for the device.

    Args:
        cells: (B, h, w), the class of each latent cell, or below 0 where it has several (`mask_latents.pure_cells`).
        grid: the rows and columns of tokens that these cells fill. device: where the result is needed.
    """
    if bool((cells == cells[:1]).all()):
        cells = cells[:1]
    inside = _in_squares(cells, grid)
    if not bool(inside.any()):
        return None
    rows, columns = (torch.arange(side, device=cells.device) % 2 == 0 for side in grid)
    stays = (~inside | (rows[:, None] & columns)).flatten(1)
    most = int(stays.sum(dim=1).max())
    order = stays.byte().argsort(dim=1, descending=True, stable=True)[:, :most]  # in each picture, those that stay
    filling = ~stays.gather(1, order)
    merged = inside.flatten(1).gather(1, order) & ~filling
    steps = torch.tensor([0, 1, grid[1], grid[1] + 1], device=cells.device)
    bias = (merged * math.log(SQUARE)).masked_fill(filling, HIDDEN)
    return Merged((order[..., None] + merged[..., None] * steps).to(device), bias.float().to(device))


def _in_squares(cells: Tensor, grid: Grid) -> Tensor:
    """Which tokens (B, rows, columns) are in an aligned square of one class."""
    rows, columns = (side // 2 for side in grid)
    # Cells that pad an odd side have no class. After that, tokens beyond the last whole square are left out.
    cells = F.pad(cells, (0, 2 * grid[1] - cells.shape[-1], 0, 2 * grid[0] - cells.shape[-2]), value=-1)
    whole = torch.unflatten(cells[:, : 4 * rows, : 4 * columns], 2, (columns, 4))
    whole = torch.unflatten(whole, 1, (rows, 4)).transpose(2, 3).flatten(3)
    squares = (whole[..., 0] >= 0) & (whole == whole[..., :1]).all(dim=-1)
    inside = squares.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    return F.pad(inside, (0, grid[1] - 2 * columns, 0, grid[0] - 2 * rows))
