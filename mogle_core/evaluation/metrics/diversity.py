"""How much pictures of one mask and prompt differ between seeds: the mean perceptual distance over all pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations

import torch
from torch import Tensor

from ..pictures import subject

Distance = Callable[[Tensor, Tensor], Tensor]
"""Pictures (N, 3, H, W) uint8 and others of the same shape -> the distance within each pair, (N,)."""


def by_subject(names: Iterable[str]) -> dict[str, list[str]]:
    """Groups of two or more names whose pictures differ in their seed alone."""
    names_of: dict[str, list[str]] = defaultdict(list)
    for name in names:
        names_of[subject(name)].append(name)
    return {key: sorted(group) for key, group in sorted(names_of.items()) if len(group) > 1}


@torch.no_grad()
def diversity(distance: Distance, pictures: Tensor) -> float:
    """The mean distance over the N (N - 1) / 2 pairs of one subject's pictures (N, 3, H, W) uint8.

    Raises ValueError for a single picture.
    """
    pairs = list(combinations(range(len(pictures)), 2))
    if not pairs:
        raise ValueError("Diversity needs two pictures or more of one mask: generate them with --copies.")
    first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
    return float(distance(pictures[first], pictures[second]).double().mean())
