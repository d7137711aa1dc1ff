"""FLUX.1's latents and tokens: their sizes, and the 2x2 packing between them."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

LATENT_CHANNELS = 16
DOWNSCALE = 8  # pixels along one side of a latent cell
TOKEN_PIXELS = 2 * DOWNSCALE  # FLUX packs 2 x 2 latent cells into a token

TOKEN_WIDTH = 64
"""16 latent channels x 2 x 2, as FLUX packs its latents into tokens."""


def token_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tokens for this many latent cells. On an odd side the last token is half filled."""
    return -(-height // 2), -(-width // 2)


def pad_to_tokens(latents: Tensor) -> Tensor:
    """Make odd sides of (..., H, W) even, as ComfyUI does: circularly, by the first row or column."""
    if latents.shape[-1] % 2:
        latents = torch.cat((latents, latents[..., :1]), dim=-1)
    if latents.shape[-2] % 2:
        latents = torch.cat((latents, latents[..., :1, :]), dim=-2)
    return latents


def pack(latents: Tensor) -> Tensor:
    """FLUX's 2x2 packing: (..., C, H, W) latents -> (..., (H/2)(W/2), 4C) tokens; odd sides are padded."""
    latents = pad_to_tokens(latents)
    return rearrange(latents, "... c (h ph) (w pw) -> ... (h w) (c ph pw)", ph=2, pw=2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`: (..., (H/2)(W/2), 4C) tokens -> (..., C, H, W) latents."""
    return rearrange(tokens, "... (h w) (c ph pw) -> ... c (h ph) (w pw)", h=height // 2, w=width // 2, ph=2, pw=2)
