"""The kernel distance of two sets of features, unbiased, with a cubic kernel (Bińkowski et al., 2018): KID."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KernelDistance:
    """Mean and deviation over the subsets. The paper's tables multiply them by 1000."""

    mean: float
    deviation: float


def kernel_distance(
    first: Tensor, second: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """The distance over random subsets of features (N, F) and (M, F), each of at most `subset_size`, drawn by `seed`.

    Raises ValueError for fewer than two features in a set.
    """
    if subsets < 1 or subset_size < 2:
        raise ValueError(
            f"KID needs at least 1 subset of 2 pictures; {subsets} of {subset_size} were asked for: change "
            "--kid-subsets and --kid-subset-size."
        )
    size = min(subset_size, len(first), len(second))
    if size < 2:
        raise ValueError(f"A kernel distance needs 2 pictures in each set; there are {len(first)} and {len(second)}.")
    generator = torch.Generator().manual_seed(seed)
    distances = torch.stack(
        [
            squared_mmd(_some(first, size, generator).double(), _some(second, size, generator).double())
            for _ in range(subsets)
        ]
    )
    return KernelDistance(float(distances.mean()), float(distances.std(correction=0)))


def squared_mmd(first: Tensor, second: Tensor) -> Tensor:
    """The unbiased estimate from N features each, (N, F) twice; may be negative."""
    count = len(first)
    within = sum(kernel.sum() - kernel.trace() for kernel in (_cubic(first, first), _cubic(second, second)))
    return within / (count * (count - 1)) - 2 * _cubic(first, second).mean()


def _cubic(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _some(features: Tensor, size: int, generator: torch.Generator) -> Tensor:
    return features[torch.randperm(len(features), generator=generator)[:size].to(features.device)]
