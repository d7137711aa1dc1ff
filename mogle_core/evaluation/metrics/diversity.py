"""How much pictures of one mask and prompt differ between seeds: the mean perceptual distance of every two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations

import torch
from torch import Tensor

from ..pictures import subject

Distance = Callable[[Tensor, Tensor], Tensor]
"""Pictures (N, 3, H, W) uint8 and others of the same shape -> how far each two are apart, (N,)."""


def by_subject(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of pictures that differ in their seed alone, where there are two or more."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[subject(name)].append(name)
    return {key: sorted(group) for key, group in sorted(found.items()) if len(group) > 1}


@torch.no_grad()
def diversity(distance: Distance, pictures: Tensor) -> float:
    """Of pictures (N, 3, H, W) uint8 of one subject: the mean over its N (N - 1) / 2 pairs.

    Raises ValueError for a single picture.
    """
    pairs = list(combinations(range(len(pictures)), 2))
    if not pairs:
        raise ValueError("Diversity needs two pictures or more of one mask: generate them with --copies.")
    first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
    return float(distance(pictures[first], pictures[second]).double().mean())
