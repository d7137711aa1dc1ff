"""Initialises the toy's VAE: its encoder computes the principal components of 8 x 8 patches exactly.

TAESD's strided convolutions can carry every pixel of a patch down to a quarter of the size, and the last one can
project them. ReLUs would cut signed components, so each component is carried as a pair, +c and -c. Training starts
from there, and from a decoder that repeats each patch's mean colour.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ...model.flux_latents import LATENT_CHANNELS
from ..vae import Block, ToyVAE

RAW_DEVIATION = 0.5  # of the raw latents, well inside the decoder's soft clamp at 3


@torch.no_grad()
def start_from_patches(vae: ToyVAE, crops: Tensor) -> None:
    """Set the VAE's weights from pictures and masks (N, 3, H, W); H and W are multiples of 8."""
    projection, mean = components(crops)
    for module in (*vae.taesd_encoder, *vae.taesd_decoder):
        if isinstance(module, Block):
            last: Any = module.conv[-1]
            encodes = module in list(vae.taesd_encoder)
            last.weight.mul_(0.0 if encodes else 0.5)
            last.bias.zero_()
    _set_encoder(vae.taesd_encoder, projection, mean)
    _set_decoder(vae.taesd_decoder, projection, mean)


def components(crops: Tensor) -> tuple[Tensor, Tensor]:
    """The 16 projections (16, 192) and the mean (192,) of patches, in the order of `_patches`.

    Components are scaled by the root of their deviation. Full whitening would weight the finest detail as much
    as the colour of the hair.
    """
    patches = _patches(crops)
    mean = patches.mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T))
    chosen = slice(-LATENT_CHANNELS, None)
    projection = (vectors[:, chosen] / values[chosen].clamp_min(1e-8).pow(0.25)).T.flip(0)
    deviation = ((patches - mean) @ projection.T).square().mean().sqrt()
    return projection * (RAW_DEVIATION / deviation), mean


def _patches(crops: Tensor) -> Tensor:
    """Patches by 2 x 2 phases, coarse to fine, then colour: (P, 192)."""
    layout = "n c (h y0 y1 y2) (w x0 x1 x2) -> (n h w) (y0 x0 y1 x1 y2 x2 c)"
    return rearrange(crops, layout, y0=2, y1=2, y2=2, x0=2, x1=2, x2=2)


def _set_encoder(layers: Any, projection: Tensor, mean: Tensor) -> None:
    first, last = layers[0], layers[14]
    first.weight[:3], first.bias[:3] = 0, 0
    first.weight[range(3), range(3), 1, 1] = 1
    for index, width in ((2, 3), (6, 12)):
        weight = layers[index].weight
        weight[: 4 * width] = 0
        for phase, (y, x) in enumerate(product((0, 1), repeat=2)):
            weight[range(phase * width, (phase + 1) * width), range(width), 1 + y, 1 + x] = 1
    down = layers[10].weight
    down[: 2 * LATENT_CHANNELS] = 0
    for phase, (y, x) in enumerate(product((0, 1), repeat=2)):
        part = projection[:, 48 * phase : 48 * (phase + 1)]
        down[:LATENT_CHANNELS, :48, 1 + y, 1 + x] = part
        down[LATENT_CHANNELS : 2 * LATENT_CHANNELS, :48, 1 + y, 1 + x] = -part
    last.weight.zero_()
    each = range(LATENT_CHANNELS)
    last.weight[each, each, 1, 1] = 1
    last.weight[each, range(LATENT_CHANNELS, 2 * LATENT_CHANNELS), 1, 1] = -1
    last.bias.copy_(-(projection @ mean))


def _set_decoder(layers: Any, projection: Tensor, mean: Tensor) -> None:
    """Channels 0 to 2 carry the mean colour, least squares from the components."""
    colour = torch.linalg.pinv(projection).reshape(64, 3, LATENT_CHANNELS).mean(dim=0)
    entry, exit_ = layers[1], layers[19]
    entry.weight[:3] = 0
    entry.weight[:3, :, 1, 1] = colour
    entry.bias[:3] = mean.reshape(64, 3).mean(dim=0)
    for index in (7, 12, 17):
        layers[index].weight[:3] = 0
        layers[index].weight[range(3), range(3), 1, 1] = 1
    for block in (layer for layer in layers if isinstance(layer, Block)):
        carried: Any = block.conv[-1]
        carried.weight[:3] = 0
    exit_.weight[range(3), range(3)] = 0
    exit_.weight[range(3), range(3), 1, 1] = 1
    exit_.bias.zero_()
