"""One training step of the method: rectified flow's loss of network and LoRA on a frozen transformer.

x_t = (1 - t) x0 + t noise, and the model learns noise - x0 by plain MSE. The paper's equations describe DDPM; the
official code, which made the published weights, does this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..masks.labels import NUM_MASKS
from ..model.flux.model import Flux
from ..model.mixture.network import MoGLE
from ..model.stream.attention import StreamOptions
from ..model.stream.condition import MaskCondition
from ..model.stream.lora import MaskLoRA
from .data.draws import Draws

GUIDANCE = 1.0
"""The guidance embedding in training."""


@dataclass(frozen=True)
class Batch:
    """The samples of one step: x0 (B, L, 64), the pictures' tokens, and their conditions.

    masks: (B, 20 + K, L, 64) tokens of the mask pictures, the full one first, and of the further conditions.
    context, pooled: (B, T, C) and (B, P), the text. grid: rows and columns of tokens.
    loss_weights: (B, L), a factor on each token's loss; None is 1 everywhere.
    """

    x0: Tensor
    masks: Tensor
    context: Tensor
    pooled: Tensor
    grid: tuple[int, int]
    loss_weights: Tensor | None = None


@dataclass(frozen=True)
class Blanks:
    """What replaces dropped conditions: the black picture's tokens (L, 64), the empty prompt (T, C) and (P,)."""

    black: Tensor
    context: Tensor
    pooled: Tensor


def step_loss(
    flux: Flux,
    network: MoGLE,
    lora: MaskLoRA,
    batch: Batch,
    draws: Draws,
    blanks: Blanks,
    options: StreamOptions | None = None,
    blind: bool = False,
) -> Tensor:
    """The batch's loss. Gradients reach `network` and `lora`, for any dtype of the frozen `flux`.

    The gate gets t in 0..1, so the checkpoint's recipe must say `gate_timestep="training"`.

    Args:
        blind: the mask's vector has the empty prompt's pooled text in the place of each sample's.
    """
    batch = dropped(batch, draws, blanks)
    velocity = masked_velocity(flux, network, lora, batch, draws, options, blanks.pooled if blind else None)
    return flow_loss(velocity, batch.x0, draws, batch.loss_weights)


def masked_velocity(
    flux: Flux,
    network: MoGLE,
    lora: MaskLoRA,
    batch: Batch,
    draws: Draws,
    options: StreamOptions | None = None,
    pooled: Tensor | None = None,
) -> Tensor:
    """The velocity (B, L, 64) at the batch's noise, with its masks.

    pooled: (P,), in the mask's vector in the place of each sample's; None takes the sample's.
    """
    noisy, low_rank = noised(batch.x0, draws), lora.low_rank()
    tokens = network(batch.masks, noisy, draws.t)
    modulations = None if pooled is None else flux.modulate_blind_mask(pooled, low_rank)
    mask = MaskCondition(tokens, batch.grid, low_rank, options or StreamOptions(), modulations=modulations)
    return predict(flux, noisy, draws.t, batch.context, batch.pooled, batch.grid, mask)


def dropped(batch: Batch, draws: Draws, blanks: Blanks) -> Batch:
    """The batch after the conditions that the draws drop are replaced. A further condition is then not given."""
    text = draws.drop_text
    masks, extra = batch.masks[:, :NUM_MASKS], batch.masks[:, NUM_MASKS:]
    masks = torch.where(draws.drop_masks[:, :, None, None], blanks.black.to(masks), masks)
    if draws.drop_extra is not None:
        extra = torch.where(draws.drop_extra[:, :, None, None], torch.zeros_like(extra), extra)
    return replace(
        batch,
        masks=masks if extra.shape[1] == 0 else torch.cat((masks, extra), dim=1),
        context=torch.where(text[:, None, None], blanks.context, batch.context),
        pooled=torch.where(text[:, None], blanks.pooled, batch.pooled),
    )


def noised(x0: Tensor, draws: Draws) -> Tensor:
    """x_t (B, L, 64)."""
    return torch.lerp(x0, draws.noise, draws.t[:, None, None])


def predict(
    flux: Flux,
    noisy: Tensor,
    t: Tensor,
    context: Tensor,
    pooled: Tensor,
    grid: tuple[int, int],
    mask: MaskCondition | None = None,
) -> Tensor:
    """The velocity (B, L, 64) at training's guidance."""
    return flux(noisy, context, t, pooled, grid, torch.full_like(t, GUIDANCE), mask)  # type: ignore[no-any-return]


Predict = Callable[..., Tensor]
"""`predict`, or its compiled form."""


def flow_loss(velocity: Tensor, x0: Tensor, draws: Draws, weights: Tensor | None = None) -> Tensor:
    """Plain MSE to noise - x0, in float32; weights: (B, L), a factor on each token's."""
    target = (draws.noise - x0).float()
    if weights is None:
        return F.mse_loss(velocity.float(), target)
    return (F.mse_loss(velocity.float(), target, reduction="none").mean(dim=-1) * weights).mean()
