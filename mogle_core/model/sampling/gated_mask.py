"""A mask during one sampling run: experts run once, gate and blend run at each step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..mixture.gate_time import GateTimestep, gate_time
from ..mixture.network import MoGLE
from ..stream.mask_tokens import Grid, mask_grid, resize_tokens, thin_tokens


@dataclass(frozen=True)
class GatedMask:
    """The network's outputs for the masks, which are the same at every step.

    outputs: the experts', (B, M, E + K, 64). full_mask: its tokens (B, M, 64).
    picture, grid: rows and columns of the picture's tokens and of the mask's.
    """

    network: MoGLE
    outputs: Tensor
    full_mask: Tensor
    picture: Grid
    grid: Grid

    @classmethod
    def of(cls, network: MoGLE, masks: Tensor, picture: Grid, mask_tokens: str = "full") -> GatedMask:
        """Run the experts on mask latents as tokens (B, 20 + K, L, 64) on the picture's grid."""
        grid = mask_grid(mask_tokens, picture)
        masks = resize_tokens(masks, picture, grid)
        return cls(network, network.expert_outputs(masks), masks[:, 0], picture, grid)

    def gate(self, noisy: Tensor, sigma: Tensor, unit: GateTimestep) -> Tensor | None:
        """The gate's weights (B, M or 1, E + K) at the picture's noisy tokens (B, L, 64) and sigma (B,)."""
        return self.network.gate_weights(
            self.full_mask, thin_tokens(noisy, self.picture, self.grid), gate_time(unit, sigma)
        )

    def blend(self, weights: Tensor | None, strengths: Tensor | None = None) -> Tensor:
        """The mask tokens (B, M, 64) at these weights; strengths: the regions' (20 + K,)."""
        return self.network.blend(self.outputs, weights, strengths)
