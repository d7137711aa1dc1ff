"""Training network and LoRA on the frozen toy base, by the project's own training step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ...flux import Flux
from ...lora import MaskLoRA
from ...names import layer_of
from ...network import MoGLE, MoGLEConfig
from ...training.draws import draw, generator
from ...training.start import fresh_lora
from ...training.step import Batch, Blanks, step_loss
from ..text import ToyText
from .loop import Plan, fit

RANK = 8
"""Twice the official rank: the toy's base is 12 times narrower than FLUX.1, and knows far less."""


@dataclass(frozen=True)
class MaskedFaces:
    """Faces with their conditions, encoded: what `train_mogle` learns from.

    x0: (N, L, 64). masks: (M, L, 64), distinct mask pictures, the first one black. rows: (N, 20), which of
    them are each face's. context, pooled: of the captions. blanks: what dropped conditions become.
    """

    x0: Tensor
    masks: Tensor
    rows: Tensor
    context: Tensor
    pooled: Tensor
    blanks: Blanks

    def batch(self, chosen: Tensor, device: torch.device) -> Batch:
        side = int(self.x0.shape[1] ** 0.5)
        parts = (self.x0[chosen], self.masks[self.rows[chosen]], self.context[chosen], self.pooled[chosen])
        x0, masks, context, pooled = (part.to(device, torch.float32) for part in parts)
        return Batch(x0, masks, context, pooled, (side, side))


@torch.no_grad()
def masked_faces(
    text: ToyText, captions: tuple[str, ...], x0: Tensor, masks: Tensor, rows: Tensor
) -> MaskedFaces:
    """Add what the text encoder says of the captions."""
    parts = [text.encode(captions[i : i + 256]) for i in range(0, len(captions), 256)]
    context, pooled = (torch.cat(part) for part in zip(*parts, strict=True))
    empty = text.encode([""])
    blanks = Blanks(masks[0].float().to(empty[0].device), empty[0][0], empty[1][0])
    return MaskedFaces(x0, masks, rows, context, pooled, blanks)


def train_mogle(
    flux: Flux,
    faces: MaskedFaces,
    plan: Plan,
    folder: Path,
    seed: int,
    config: MoGLEConfig | None = None,
    batch: int = 32,
    name: str = "mogle",
) -> tuple[MoGLE, MaskLoRA]:
    """Network (in any of the paper's variants) and LoRA, averaged over the last steps.

    Everything at once ends where the image no longer looks at the mask: fresh mask tokens take a third of
    the image's attention and disturb it, and turning keys away is the shortest way down, from which no
    gradient leads back. So a fifth of the steps goes to the LoRA of the values alone, which cannot do that.
    """
    device = flux.img_in.weight.device
    torch.manual_seed(seed)
    trained = nn.ModuleDict({"network": MoGLE(config), "lora": fresh_lora(flux, RANK, generator(seed, "lora", 0))})
    network, lora = trained.to(device)["network"], trained["lora"]
    assert isinstance(network, MoGLE) and isinstance(lora, MaskLoRA)

    def loss_of(rng: torch.Generator) -> Tensor:
        chosen = torch.randint(len(faces.x0), (batch,), generator=rng)
        draws = draw(rng, batch, faces.x0.shape[1]).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            return step_loss(flux, network, lora, faces.batch(chosen, device), draws, faces.blanks)

    _only_values(trained, lora)
    first = replace(plan, steps=plan.steps // 5 + 1, lr=3 * plan.lr)
    opening = fit(trained, loss_of, first, folder, f"{name}_values", seed)
    trained.load_state_dict({**trained.state_dict(), **opening})
    average = fit(trained.requires_grad_(True), loss_of, plan, folder, name, seed)
    trained.load_state_dict({**trained.state_dict(), **average})
    trained.requires_grad_(False).eval()
    return network, lora


def _only_values(trained: nn.ModuleDict, lora: MaskLoRA) -> None:
    """Let nothing learn but the values' pairs, the third of each fused Linear that holds q, k and v."""
    trained.requires_grad_(False)
    for name, tensors in lora.pairs.items():
        if layer_of(name) in ("img_attn.qkv", "linear1"):
            for tensor in list(tensors)[4:6]:
                tensor.requires_grad_(True)
