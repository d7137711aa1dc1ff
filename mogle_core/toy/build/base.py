"""Trains the toy's base model, text to face by rectified flow, together with its text encoder. It sees no masks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ...model.flux.model import Flux
from ...model.stream.condition import MaskCondition
from ...training.data.draws import draw
from ...training.step import Predict, flow_loss, noised, predict
from ..text import ToyText
from .loop import Plan, fit

NEAR_FREQUENCIES, NEAR_BIAS = 4, 3.0


@torch.no_grad()
def look_near(flux: Flux) -> None:
    """Initialise the first head of every block so that it attends to a token's own place and its neighbours.

    Queries and keys get the same constant in the fastest rotary pairs of rows and columns, so that their product falls
    with the distance. Trained transformers of this kind have such heads. A small one that starts without them learns
    to ignore a third stream before it has learnt such heads.
    """
    _, *places = flux.params.axes_dim
    starts = [flux.params.axes_dim[0] + sum(places[:axis]) for axis in range(len(places))]
    channels = [start + i for start in starts for i in range(2 * NEAR_FREQUENCIES)]
    for name, parameter in flux.named_parameters():
        if name.endswith(("img_attn.qkv.bias", "linear1.bias")):
            for first in (0, flux.params.hidden_size):  # queries, keys
                parameter[[first + channel for channel in channels]] += NEAR_BIAS


class Painter(nn.Module):
    """Text encoder and transformer, trained as one module."""

    def __init__(self, text: ToyText, flux: Flux) -> None:
        super().__init__()
        self.text, self.flux = text, flux


def train_base(
    x0: Tensor,
    references: Tensor,
    captions: tuple[str, ...],
    painter: Painter,
    plan: Plan,
    folder: Path,
    seed: int,
    batch: int = 48,
    name: str = "base",
    forward: Predict = predict,
) -> Painter:
    """Learn x0 (N, L, 64), the faces' tokens, from their captions, with and without references.

    The fresh transformer starts with heads that look near. The first tenth of the steps always shows the reference;
    after that, every third step does. If some steps lacked it from the start, the image would learn to ignore the
    reference before it had learnt to use it.

    references: (N, L, 64), the same faces in grey.
    """
    device = painter.text.places.device
    words = painter.text.tokenise(captions)
    side = int(x0.shape[1] ** 0.5)
    look_near(painter.flux)

    def loss_of(rng: torch.Generator, step: int) -> Tensor:
        chosen = torch.randint(len(x0), (batch,), generator=rng)
        draws = draw(rng, batch, x0.shape[1]).to(device)
        faces = x0[chosen].to(device, torch.float32)
        seen = words[chosen.to(device)].masked_fill(draws.drop_text[:, None], 0)
        with_reference = step < plan.steps // 10 or step % 3 == 0
        shown = references[chosen].to(device, torch.float32) if with_reference else None
        with torch.autocast(device.type, torch.bfloat16):
            context, pooled = painter.text(seen)
            reference = None if shown is None else MaskCondition(shown, (side, side))
            velocity = forward(painter.flux, noised(faces, draws), draws.t, context, pooled, (side, side), reference)
        return flow_loss(velocity, faces, draws)

    average = fit(painter, loss_of, plan, folder, name, seed)
    painter.load_state_dict(average)
    return painter.requires_grad_(False).eval()
