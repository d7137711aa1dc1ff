"""Turns label maps into pictures for training, and degrades pictures as a generator might."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...masks.decouple import colours, region


def masks_as_pictures(ids: Tensor, full: bool, draw: torch.Generator) -> Tensor:
    """Ids (H, W) as the full mask's picture, or one class that is present, white on black: (3, H, W) in 0..1."""
    if full:
        return colours(ids[None])[0].movedim(-1, 0)
    present = torch.unique(ids)
    chosen = int(present[torch.randint(len(present), (), generator=draw)])
    return region(ids[None], chosen).expand(3, -1, -1)


def degraded(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1, each with its own blur, noise and change of brightness."""
    count = len(pictures)
    amount = torch.rand(count, 4, generator=draw).to(pictures)[:, :, None, None, None]
    soft = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    blurred = torch.lerp(pictures, soft, amount[:, 0])
    noise = torch.randn(pictures.shape, generator=draw).to(pictures)
    bright = blurred * (1 + 0.2 * (amount[:, 2] - 0.5)) + 0.1 * (amount[:, 3] - 0.5)
    return bright + 0.04 * amount[:, 1] * noise
