"""Trains network and LoRA on the frozen toy base by the training step of `mogle train`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...model.flux.model import Flux
from ...model.mixture.network import MoGLE, MoGLEConfig
from ...model.stream.lora import MaskLoRA
from ...training.data.draws import DropRates, draw, generator
from ...training.start import fresh_lora
from ...training.step import Batch, Blanks, dropped, noised, step_loss
from ..text import ToyText
from .loop import Plan, fit

RANK = 8
"""Twice the official rank, because the toy's base is 12 times narrower than FLUX.1 and knows far less."""


@dataclass(frozen=True)
class MaskedFaces:
    """Encoded faces and their conditions, from which `train_mogle` learns.

    x0: (N, L, 64). references: (N, L, 64), the same faces in grey. masks: (M, L, 64), the distinct mask pictures,
    the black one first. rows: (N, 20), each face's rows in `masks`. context, pooled: the encoded captions.
    blanks: replace conditions that are dropped. sketches: (S, N, L, 64), S sketches of each face; None if the network
    has no sketch.
    """

    x0: Tensor
    references: Tensor
    masks: Tensor
    rows: Tensor
    context: Tensor
    pooled: Tensor
    blanks: Blanks
    sketches: Tensor | None = None

    def batch(self, chosen: Tensor, device: torch.device, style: int = 0) -> Batch:
        """The faces of these numbers. style: which of their sketches, any number."""
        side = int(self.x0.shape[1] ** 0.5)
        masks = self.masks[self.rows[chosen]].float()
        if self.sketches is not None:
            sketches = self.sketches[style % len(self.sketches), chosen].float()
            masks = torch.cat((masks, sketches[:, None]), dim=1)
        parts = (self.x0[chosen], masks, self.context[chosen], self.pooled[chosen])
        x0, masks, context, pooled = (part.to(device, torch.float32) for part in parts)
        return Batch(x0, masks, context, pooled, (side, side))


@torch.no_grad()
def masked_faces(
    text: ToyText, captions: tuple[str, ...], x0: Tensor, references: Tensor, masks: Tensor, rows: Tensor
) -> MaskedFaces:
    """Encode the captions and put them beside the faces' tokens."""
    parts = [text.encode(captions[i : i + 256]) for i in range(0, len(captions), 256)]
    context, pooled = (torch.cat(part) for part in zip(*parts, strict=True))
    empty = text.encode([""])
    blanks = Blanks(masks[0].float().to(empty[0].device), empty[0][0], empty[1][0])
    return MaskedFaces(x0, references, masks, rows, context, pooled, blanks)


def train_mogle(
    flux: Flux,
    faces: MaskedFaces,
    plan: Plan,
    drawing_steps: int,
    folder: Path,
    seed: int,
    config: MoGLEConfig | None = None,
    batch: int = 32,
    name: str = "mogle",
    step_loss: Callable[..., Tensor] = step_loss,
) -> tuple[MoGLE, MaskLoRA]:
    """Train network (any of the paper's variants) and LoRA. Returns both with weights averaged over the last steps.

    The network first learns to draw the grey references from the masks, without the transformer. In so small a
    base, the image learns to ignore meaningless tokens faster than these tokens could acquire a meaning.

    drawing_steps: the length of that first phase; after 100 steps the image still learnt to ignore the tokens.
    step_loss: the loss of the training step, plain or compiled.
    """
    device = flux.img_in.weight.device
    torch.manual_seed(seed)
    trained = nn.ModuleDict({"network": MoGLE(config), "lora": fresh_lora(flux, RANK, generator(seed, "lora", 0))})
    network, lora = trained.to(device)["network"], trained["lora"]
    assert isinstance(network, MoGLE) and isinstance(lora, MaskLoRA)

    def loss_of(rng: torch.Generator, _step: int) -> Tensor:
        chosen = torch.randint(len(faces.x0), (batch,), generator=rng)
        draws = draw(rng, batch, faces.x0.shape[1]).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            return step_loss(flux, network, lora, faces.batch(chosen, device), draws, faces.blanks)

    if any(True for _ in network.parameters()):
        first = replace(plan, steps=drawing_steps)
        network.load_state_dict(fit(network, drawing_loss(network, faces), first, folder, f"{name}_drawing", seed))
    average = fit(trained, loss_of, plan, folder, name, seed)
    trained.load_state_dict({**trained.state_dict(), **average})
    trained.requires_grad_(False).eval()
    return network, lora


def drawing_loss(
    network: MoGLE, faces: MaskedFaces, drops: DropRates | None = None, batch: int = 64
) -> Callable[[torch.Generator, int], Tensor]:
    """The loss of drawing the references: the mean squared difference between mask tokens and reference tokens."""
    device = faces.blanks.black.device

    def loss_of(rng: torch.Generator, step: int) -> Tensor:
        chosen = torch.randint(len(faces.x0), (batch,), generator=rng)
        draws = draw(rng, batch, faces.x0.shape[1], drops).to(device)
        conditions = dropped(faces.batch(chosen, device, step), draws, faces.blanks)
        tokens = network(conditions.masks, noised(conditions.x0, draws), draws.t)
        return F.mse_loss(tokens, faces.references[chosen].to(tokens))

    return loss_of
