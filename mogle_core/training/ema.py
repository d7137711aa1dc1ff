"""The running average of the weights, which is often a better result than their last values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def decay_at(step: int, decay: float) -> float:
    """The decay after this step, counted from 0. It is small at first, so that the start has little weight."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def follow(average: Sequence[Tensor], trained: Sequence[Tensor], decay: float) -> None:
    """average := decay average + (1 - decay) trained, in place."""
    torch._foreach_lerp_(list(average), list(trained), 1 - decay)


def fresh_average(vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: vector.detach().clone() for name, vector in vectors.items()}
