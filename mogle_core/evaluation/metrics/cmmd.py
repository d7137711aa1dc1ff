"""The distance of two sets of CLIP embeddings under a Gaussian kernel (Jayasumana et al., 2024): CMMD."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SIGMA, SCALE = 10.0, 1000.0
"""The published kernel width and the factor on the result."""


def cmmd(first: Tensor, second: Tensor, block: int = 1024) -> float:
    """The distance of embeddings (N, F) and (M, F), which are scaled to length 1.

    The biased estimate, as published: every point is also compared with itself. Computed in blocks, so that
    memory grows with the number of pictures, not with its square.
    """
    left, right = (F.normalize(each.double(), dim=-1) for each in (first, second))
    within = _mean_kernel(left, left, block) + _mean_kernel(right, right, block)
    return SCALE * (within - 2 * _mean_kernel(left, right, block))


def _mean_kernel(first: Tensor, second: Tensor, block: int) -> float:
    total = 0.0
    for rows in torch.split(first, block):
        for others in torch.split(second, block):
            squared = rows.square().sum(-1)[:, None] + others.square().sum(-1) - 2 * rows @ others.T
            total += float(torch.exp(-squared / (2 * SIGMA**2)).sum())
    return total / (len(first) * len(second))
