"""Prepares mask tokens for the blocks: their number, embedding, positions and modulations.

With `mask_tokens` half, each mask token represents 2 x 2 of the picture's tokens, at the centre of their positions,
so there are a quarter as many. With merged, this happens only inside of regions, after the gate (`merged_tokens.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..flux_latents import pack, unpack
from .attention import StreamOptions
from .lora import LowRank, adapted
from .transformer import Transformer, blocks_of

MASK_TOKENS = ("full", "half", "merged")

Grid = tuple[int, int]
"""Rows and columns of tokens."""


def mask_grid(mask_tokens: str, grid: Grid) -> Grid:
    """The grid on which the gate runs, for a picture's grid. On an odd side two mask tokens share one of its tokens."""
    if mask_tokens not in MASK_TOKENS:
        raise ValueError(f"mask_tokens is {mask_tokens!r}: choose {' or '.join(MASK_TOKENS)}.")
    return (-(-grid[0] // 2), -(-grid[1] // 2)) if mask_tokens == "half" else grid


def check_texts(mask_tokens: str, texts: Sequence[object]) -> None:
    """Raises ValueError for region prompts with fewer mask tokens, because the areas use the picture's grid."""
    if mask_tokens != "full" and texts:
        raise ValueError(f"Region prompts need all mask tokens: set mask_tokens to full instead of {mask_tokens}.")


def check_options(mask_tokens: str, options: StreamOptions) -> None:
    """Raises ValueError for fewer mask tokens if the checkpoint adds each to the image's token in its place."""
    if mask_tokens != "full" and options.add_condition_attention:
        raise ValueError(
            "This checkpoint was trained with `add_cond_attn`, which needs a mask token for each of the image's: set "
            f"mask_tokens to full instead of {mask_tokens}."
        )


def resize_tokens(tokens: Tensor, grid: Grid, to: Grid) -> Tensor:
    """Resize packed latents (..., rows * columns, 64) to another grid, by means of latent cells."""
    if grid == to:
        return tokens
    latents = unpack(tokens, 2 * grid[0], 2 * grid[1])
    fewer = F.adaptive_avg_pool2d(latents.flatten(0, -4), (2 * to[0], 2 * to[1]))
    return pack(fewer.reshape(*latents.shape[:-2], *fewer.shape[-2:]))


def thin_tokens(tokens: Tensor, grid: Grid, to: Grid) -> Tensor:
    """Resize packed noisy latents (B, rows * columns, 64) to a smaller grid, by every other cell.

    Means would have half of the noise with which the gate was trained at this time.
    """
    if grid == to:
        return tokens
    return pack(F.interpolate(unpack(tokens, 2 * grid[0], 2 * grid[1]), (2 * to[0], 2 * to[1]), mode="nearest"))


def spread_positions(ids: Tensor, grid: Grid, to: Grid) -> Tensor:
    """The image tokens' ids (B, rows * columns, axes) -> the mask's on its grid, each at its tokens' centre."""
    if grid == to:
        return ids
    positions = ids.float().mT.reshape(len(ids), -1, *grid)
    return F.adaptive_avg_pool2d(positions, to).flatten(-2).mT


def mask_positions(height: int, width: int, axes: int = 3, device: torch.device | None = None) -> Tensor:
    """The mask tokens' position ids: the image's own, (0, row, column) -> (1, height * width, axes)."""
    ids = torch.zeros(height, width, axes, device=device, dtype=torch.float32)
    ids[..., 1] = torch.arange(height, device=device)[:, None]
    ids[..., 2] = torch.arange(width, device=device)[None]
    return ids.reshape(1, height * width, axes)


def mask_modulations(
    transformer: Transformer, vec: Tensor, lora: Mapping[str, LowRank] | None = None
) -> dict[str, Tensor]:
    """All blocks' modulations of the mask tokens, (B, 1, 6H) and (B, 1, 3H). They are the same at all steps.

    vec: the mask stream's vector (B, H).
    """
    activated, updates = F.silu(vec[:, None]), lora or {}
    linears = {}
    for name, block in blocks_of(transformer).items():
        double = name.startswith("double")
        linears[f"{name}.{'img_mod' if double else 'modulation'}.lin"] = (
            block.img_mod if double else block.modulation
        ).lin
    return {name: adapted(lin, activated, updates.get(name)) for name, lin in linears.items()}


def embed_tokens(transformer: Transformer, tokens: Tensor, lora: Mapping[str, LowRank] | None = None) -> Tensor:
    """Mask tokens (B, M, 64) through the image's `img_in` and its LoRA -> (B, M, H)."""
    return adapted(transformer.img_in, tokens, (lora or {}).get("img_in"))
