"""Trains a sketch expert onto the finished toy: network and LoRA go on learning, now with a sketch beside the mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...model.flux.model import Flux
from ...model.mixture.extra import ExtraExpert
from ...model.mixture.network import MoGLE
from ...model.stream.lora import LoRAPart, MaskLoRA
from ...training.data.draws import DropRates, draw, generator
from ...training.start import fresh_lora, with_extra
from ...training.step import step_loss
from ..drawer.sketching import draw_sketch
from ..vae import ToyVAE
from .latents import encode_images
from .loop import Plan, fit
from .mogle import MaskedFaces, drawing_loss

SKETCH = "sketch"

RANK = 24
"""Rank of the LoRA in this stage. The mask LoRA that it starts from has 8; the added ranks have no effect at first."""

DROPS = DropRates(all_masks=0.3, extra=(0.17,))
"""How often training drops a condition. 58 % of the samples keep mask and sketch, and 25 % only the sketch."""

ALONE = DropRates(all_masks=1.0, extra=(0.0,))
"""The drop rates while the new expert learns to draw the references: sketches alone, without masks."""

EXPERT_FACTOR = 2.7
"""Factor on the sketch expert's output after training. A larger factor makes images follow strands, folds and wrinkles
more closely, and the mask a little less closely. It was chosen on 40 faces that are neither trained on nor scored.
"""


def encode_sketches(vae: ToyVAE, seeds: Sequence[int], styles: int, batch: int = 16) -> Tensor:
    """The tokens (S, N, L, 64), float16, of `styles` sketches of each seed's face."""
    parts = []
    for style in range(styles):
        for first in tqdm(range(0, len(seeds), batch), desc=f"sketches {style + 1} of {styles}", disable=None):
            drawn = np.stack([draw_sketch(seed, style=style) for seed in seeds[first : first + batch]])
            parts.append(encode_images(vae, torch.from_numpy(drawn)[..., None].expand(-1, -1, -1, 3).float() / 255))
    return torch.cat(parts).reshape(styles, len(seeds), *parts[0].shape[1:])


def train_sketch(
    flux: Flux,
    network: MoGLE,
    lora: MaskLoRA,
    faces: MaskedFaces,
    plan: Plan,
    drawing_steps: int,
    folder: Path,
    seed: int,
    batch: int = 32,
    name: str = "mogle_sketch",
    step_loss: Callable[..., Tensor] = step_loss,
) -> tuple[MoGLE, MaskLoRA]:
    """Train a sketch expert onto a trained network; return network and LoRA with weights averaged over the last steps.

    First only the new expert learns, to draw the grey references as in `train_mogle`. Then the whole network and the
    LoRA are trained together.
    """
    device = flux.img_in.weight.device
    network = with_extra(network, (SKETCH,), seed).float().to(device).requires_grad_(False)
    lora = widened(lora.float(), flux, RANK, generator(seed, "lora", 0)).to(device)
    for part in (network.extra_experts, network.extra_gating):
        part.requires_grad_()
    first = replace(plan, steps=drawing_steps, lr=3e-3)
    drawn = fit(network, drawing_loss(network, faces, ALONE), first, folder, f"{name}_drawing", seed)
    network.load_state_dict({**network.state_dict(), **drawn})
    trained = nn.ModuleDict({"network": network, "lora": lora}).requires_grad_()

    def loss_of(rng: torch.Generator, step: int) -> Tensor:
        chosen = torch.randint(len(faces.x0), (batch,), generator=rng)
        draws = draw(rng, batch, faces.x0.shape[1], DROPS).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            return step_loss(flux, network, lora, faces.batch(chosen, device, step), draws, faces.blanks)

    average = fit(trained, loss_of, plan, folder, name, seed)
    trained.load_state_dict({**trained.state_dict(), **average})
    trained.requires_grad_(False).eval()
    strengthen(network, EXPERT_FACTOR)
    return network, lora


@torch.no_grad()
def widened(lora: MaskLoRA, flux: Flux, rank: int, rng: torch.Generator) -> MaskLoRA:
    """Raise the rank of every pair in the LoRA. The new columns of `up` are zero: at first nothing changes."""
    had = lora.parts(next(iter(lora.rows)))[0].rank
    fresh = fresh_lora(flux, rank - had, rng)
    return MaskLoRA({name: list(map(_joined, lora.parts(name), fresh.parts(name))) for name in lora.rows})


def _joined(part: LoRAPart, new: LoRAPart) -> LoRAPart:
    down = torch.cat((part.down, new.down.to(part.down)))
    up = torch.cat((part.up, new.up.to(part.up)), dim=1)
    return LoRAPart(part.start, down, up, part.alpha * len(down) / part.rank)


def strengthen(network: MoGLE, factor: float) -> None:
    """Multiply the sketch expert's output by a factor, in place. The second layer is linear, so only that is scaled."""
    expert = network.extra_experts[SKETCH]
    assert isinstance(expert, ExtraExpert)
    for parameter in expert.net[2].parameters():
        parameter.mul_(factor)
