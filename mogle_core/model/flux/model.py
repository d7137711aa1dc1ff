"""The FLUX.1 transformer with BFL's names, for use without ComfyUI; `flux/files.py` reads its weights from disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..stream.condition import MaskCondition
from ..stream.lora import LowRank, adapted
from ..stream.mask_stream import MaskStream, open_stream
from ..stream.mask_tokens import Grid, mask_modulations, mask_positions
from ..stream.modulation import BLIND_GUIDANCE, SINUSOID_WIDTH, mask_vector, modulation_vector
from ..stream.region_text import join_context
from .attention import rope
from .layers import DoubleStreamBlock, LastLayer, MLPEmbedder, SingleStreamBlock, timestep_embedding
from .params import FluxParams


class Flux(nn.Module):
    """FLUX.1: maps noisy image tokens, text and time to the velocity noise - x0."""

    def __init__(self, params: FluxParams) -> None:
        super().__init__()
        self.params = params
        dim = params.hidden_size
        self.img_in = nn.Linear(params.in_channels, dim)
        self.txt_in = nn.Linear(params.context_in_dim, dim)
        self.time_in = MLPEmbedder(SINUSOID_WIDTH, dim)
        self.vector_in = MLPEmbedder(params.vec_in_dim, dim)
        self.guidance_in = MLPEmbedder(SINUSOID_WIDTH, dim) if params.guidance_embed else None
        self.double_blocks = nn.ModuleList(DoubleStreamBlock(params, f"double_blocks.{i}") for i in range(params.depth))
        self.single_blocks = nn.ModuleList(
            SingleStreamBlock(params, f"single_blocks.{i}", last=i == params.depth_single_blocks - 1)
            for i in range(params.depth_single_blocks)
        )
        self.final_layer = LastLayer(dim, params.out_channels)

    def vector(self, timestep: Tensor, pooled: Tensor, guidance: Tensor | None) -> Tensor:
        """The modulation vector: time (B,), pooled text (B, P), guidance (B,) -> (B, H)."""
        return modulation_vector(self, timestep, pooled, guidance, timestep_embedding)

    def rotary(self, ids: Tensor) -> Tensor:
        """Position ids (B, S, 3) -> (B, 1, S, D/2, 2, 2)."""
        return rope(ids, self.params.axes_dim, self.params.theta)

    def modulate_mask(
        self,
        pooled: Tensor,
        guidance: Tensor | None,
        lora: Mapping[str, LowRank] | None = None,
        mask_guidance: float | None = None,
    ) -> dict[str, Tensor]:
        """All blocks' modulations of the mask tokens (B, 1, 6H or 3H).

        pooled: (B, P). guidance: the image's (B,), or None. mask_guidance: replaces it, unless None.
        """
        return mask_modulations(self, mask_vector(self, pooled, guidance, timestep_embedding, mask_guidance), lora)

    def modulate_blind_mask(self, pooled: Tensor, lora: Mapping[str, LowRank] | None = None) -> dict[str, Tensor]:
        """All blocks' modulations of the mask tokens (1, 1, 6H or 3H) for a vector that is blind to the prompt.

        pooled: (P,), the empty prompt's.
        """
        return self.modulate_mask(pooled[None], pooled.new_full((1,), BLIND_GUIDANCE), lora)

    def open_stream(
        self,
        mask: MaskCondition,
        pooled: Tensor,
        guidance: Tensor | None,
        text: int = 0,
        grid: Grid | None = None,
    ) -> MaskStream:
        """Open a pass's mask stream, with `text` text tokens over a picture of `grid`; None takes the mask's grid."""
        if not mask.modulations and mask.reuse is None:
            mask = replace(mask, modulations=self.modulate_mask(pooled, guidance, mask.lora, mask.guidance))
        grid = grid or mask.grid
        positions = mask_positions(*grid, axes=len(self.params.axes_dim), device=pooled.device)
        return open_stream(self, mask, positions, grid, self.rotary, text)

    def forward(
        self,
        img: Tensor,
        txt: Tensor,
        timestep: Tensor,
        pooled: Tensor,
        grid: tuple[int, int],
        guidance: Tensor | None = None,
        mask: MaskCondition | None = None,
    ) -> Tensor:
        """The velocity of one step.

        Args:
            img: noisy image tokens (B, N, 64). txt: text tokens (B, T, C). pooled: (B, P).
            timestep: sigma in 0..1 (B,). guidance: (B,) or None.
            grid: rows and columns of image tokens, rows * columns = N.
            mask: with None the result is exactly plain FLUX's.

        Returns:
            (B, N, 64).
        """
        low_rank = mask.lora.get("img_in") if mask is not None and mask.options.latent_lora else None
        img = adapted(self.img_in, img, low_rank)
        vec = self.vector(timestep, pooled, guidance)
        if mask is not None and mask.texts:
            txt = join_context(txt, mask.texts)
        txt = self.txt_in(txt)
        ids = mask_positions(*grid, axes=len(self.params.axes_dim), device=img.device)
        rotary = self.rotary(torch.cat((ids.new_zeros(1, txt.shape[1], ids.shape[-1]), ids), dim=1))
        stream = None if mask is None else self.open_stream(mask, pooled, guidance, txt.shape[1], grid)

        for block in self.double_blocks:
            img, txt = block(img, txt, vec, rotary, stream)
        count, x = img.shape[1], torch.cat((txt, img), dim=1)
        del txt, img
        for block in self.single_blocks:
            x = block(x, vec, rotary, stream)
        out: Tensor = self.final_layer(x[:, -count:], vec)
        return out
