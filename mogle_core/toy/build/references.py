"""Reference pictures for the base model's training: the same face in grey.

FLUX.1 has seen so much that it can use further image tokens at the places of an image's own tokens. The toy's
base has to learn this. Many of its steps therefore show it the structure of the target picture, as clean tokens
of a third stream. It never sees a mask.
"""

from __future__ import annotations

import torch
from torch import Tensor


def greys(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1 in grey; each gets a random tone curve, contrast and brightness."""
    chances = torch.rand(len(pictures), 3, generator=draw).to(pictures)[..., None, None, None]
    curve, contrast, bright = chances.unbind(1)
    grey = pictures.mean(dim=1, keepdim=True) ** (2.5 ** (2 * curve - 1))
    contrast = 0.3 + 0.7 * contrast
    return (grey * contrast + (1 - contrast) * bright).expand_as(pictures)
