"""Training the toy's base model: text to face by rectified flow, no masks, the text encoder along with it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ...flux import Flux, FluxParams
from ...training.draws import draw
from ...training.step import flow_loss, noised, predict
from ..text import CONTEXT_WIDTH, POOLED_WIDTH, ToyText
from .loop import Plan, fit

TOY_FLUX = FluxParams(
    vec_in_dim=POOLED_WIDTH,
    context_in_dim=CONTEXT_WIDTH,
    hidden_size=256,
    num_heads=2,
    depth=1,
    depth_single_blocks=2,
)
"""Heads of 128, which is what the stock loader supposes."""


class Painter(nn.Module):
    """Text encoder and transformer, trained as one."""

    def __init__(self, text: ToyText, flux: Flux) -> None:
        super().__init__()
        self.text, self.flux = text, flux


def train_base(
    x0: Tensor,
    captions: tuple[str, ...],
    painter: Painter,
    plan: Plan,
    folder: Path,
    seed: int,
    batch: int = 48,
    name: str = "base",
) -> Painter:
    """Learn x0 (N, L, 64), the faces' tokens, from their captions."""
    device = painter.text.places.device
    words = painter.text.tokenise(captions)
    side = int(x0.shape[1] ** 0.5)

    def loss_of(rng: torch.Generator) -> Tensor:
        chosen = torch.randint(len(x0), (batch,), generator=rng)
        draws = draw(rng, batch, x0.shape[1]).to(device)
        faces = x0[chosen].to(device, torch.float32)
        seen = words[chosen.to(device)].masked_fill(draws.drop_text[:, None], 0)
        with torch.autocast(device.type, torch.bfloat16):
            context, pooled = painter.text(seen)
            velocity = predict(painter.flux, noised(faces, draws), draws.t, context, pooled, (side, side))
        return flow_loss(velocity, faces, draws)

    average = fit(painter, loss_of, plan, folder, name, seed)
    painter.load_state_dict(average)
    return painter.requires_grad_(False).eval()
