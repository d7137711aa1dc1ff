"""How similar the layout of two pictures is, independently of colour: the self-similarity of DINO's keys.

Tumanyan et al., 2022 (Splice). The paper's column "Mask" is this distance of a generated face from the photo
whose mask it was made from.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

OFFICIAL_BATCH = 64
"""The published figure sums over batches of this many pictures, and takes the mean of the sums."""


def self_similarity(keys: Tensor) -> Tensor:
    """Keys (N, L, C), all heads concatenated -> the cosine of every two tokens, (N, L, L)."""
    unit = F.normalize(keys.float(), dim=-1)
    return unit @ unit.mT


def structure_distances(first: Tensor, second: Tensor) -> Tensor:
    """Keys (N, L, C) of N pictures and of their partners -> mean squared differences (N,)."""
    return (self_similarity(first) - self_similarity(second)).square().mean(dim=(1, 2))


def official(distances: Tensor) -> float:
    """The published figure of distances (N,): 64 times their mean, or about that if 64 does not divide N."""
    return float(distances.sum() / math.ceil(len(distances) / OFFICIAL_BATCH))


def per_picture(distances: Tensor) -> float:
    return float(distances.mean())


def distances_of(keys: list[Tensor], others: list[Tensor]) -> Tensor:
    """The distances (N,) of keys that come picture by picture, each (L, C)."""
    pairs = zip(keys, others, strict=True)
    return torch.cat([structure_distances(one[None], other[None]) for one, other in pairs])
