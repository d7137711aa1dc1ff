"""What the official script makes, for comparison: blank local masks, and one generator of noise for all pictures.

Its `test.py` goes through a data set in order, so that a picture depends on the number of earlier ones. It also
samples the masks' latents without a seed, which cannot be reproduced; here they are the mean, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..model.flux_latents import DOWNSCALE, LATENT_CHANNELS
from .settings import Settings

SEED = 42
"""The official script's seed."""


def as_official(settings: Settings) -> Settings:
    """The settings with the official differences. 512 x 512 and the others already are the script's defaults."""
    return replace(settings, local_masks="blank", official=True)


def noises(settings: Settings, seed: int = SEED) -> Iterator[Tensor]:
    """The noise of the first picture, of the second, and so on, (16, H/8, W/8) in the script's bfloat16, widened."""
    generator = torch.Generator().manual_seed(seed)
    shape = (LATENT_CHANNELS, settings.height // DOWNSCALE, settings.width // DOWNSCALE)
    while True:
        yield torch.randn(shape, generator=generator, dtype=torch.bfloat16).float()
