"""Trains a sketch expert onto the finished toy: network and LoRA go on learning, now with a sketch beside the mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ...model.flux.model import Flux
from ...model.mixture.extra import ExtraExpert
from ...model.mixture.network import MoGLE
from ...model.stream.lora import MaskLoRA
from ...training.data.draws import DropRates, draw
from ...training.start import with_extra
from ...training.step import dropped, noised, step_loss
from ..drawer.sketching import draw_sketch
from ..vae import ToyVAE
from .latents import encode_images
from .loop import Plan, fit
from .mogle import MaskedFaces

SKETCH = "sketch"

DROPS = DropRates(all_masks=0.1, extra=(0.3,))
"""How often training drops a condition. Half of the faces have no masks in the first place."""

LORA_SHARE = 0.6
"""Weight of the trained LoRA when it is averaged with the LoRA it started from (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models"). The average follows a mask alone and a sketch alone more closely than the trained
weights do. A smaller share follows lines more closely still, but hair more often has another colour than the caption
says. The shares were compared on 60 faces that are neither in the training set nor in the scores.
"""

EXPERT_FACTOR = 2.2
"""The trained expert's tokens are multiplied by this factor. With a mask and a sketch, images then follow strands and
folds more closely. At 3.5 they follow the mask less closely. The factors were compared on the same faces.
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

    As with the masks (`train_mogle`), the new expert first learns to draw the grey references, alone. The LoRA learns
    along with the expert.
    """
    device = flux.img_in.weight.device
    trained = nn.ModuleDict({"network": with_extra(network, (SKETCH,), seed), "lora": lora}).float().to(device)
    network, lora = trained["network"], trained["lora"]  # type: ignore[assignment]
    assert isinstance(network, MoGLE) and isinstance(lora, MaskLoRA)
    trained.requires_grad_(False)
    for part in (network.extra_experts, network.extra_gating):
        part.requires_grad_()
    first = replace(plan, steps=drawing_steps, lr=3e-3)
    drawn = fit(network, _drawing_loss(network, faces), first, folder, f"{name}_drawing", seed)
    network.load_state_dict({**network.state_dict(), **drawn})
    start = {name: tensor.clone() for name, tensor in lora.state_dict().items()}
    lora.requires_grad_()  # the masks' experts and their gate stay as they are

    def loss_of(rng: torch.Generator, step: int) -> Tensor:
        chosen = torch.randint(len(faces.x0), (batch,), generator=rng)
        draws = draw(rng, batch, faces.x0.shape[1], DROPS).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            return step_loss(flux, network, lora, faces.batch(chosen, device, step), draws, faces.blanks)

    average = fit(trained, loss_of, plan, folder, name, seed)
    trained.load_state_dict({**trained.state_dict(), **average})
    trained.requires_grad_(False).eval()
    lora.load_state_dict(between(start, lora.state_dict(), LORA_SHARE))
    strengthen(network, EXPERT_FACTOR)
    return network, lora


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Interpolate linearly between two state dicts: share 0 returns `start`, share 1 returns `end`."""
    return {name: tensor.lerp(end[name], share) for name, tensor in start.items()}


def strengthen(network: MoGLE, factor: float) -> None:
    """Scale the sketch expert's tokens by scaling its second layer, which is linear. Changes the network in place."""
    expert = network.extra_experts[SKETCH]
    assert isinstance(expert, ExtraExpert)
    for parameter in expert.net[2].parameters():
        parameter.mul_(factor)


def _drawing_loss(network: MoGLE, faces: MaskedFaces, batch: int = 64) -> Callable[[torch.Generator, int], Tensor]:
    """The loss of drawing the references from sketches alone."""
    device = faces.blanks.black.device
    alone = DropRates(all_masks=1.0, extra=(0.0,))

    def loss_of(rng: torch.Generator, step: int) -> Tensor:
        chosen = torch.randint(len(faces.x0), (batch,), generator=rng)
        draws = draw(rng, batch, faces.x0.shape[1], alone).to(device)
        conditions = dropped(faces.batch(chosen, device, step), draws, faces.blanks)
        tokens = network(conditions.masks, noised(conditions.x0, draws), draws.t)
        return F.mse_loss(tokens, faces.references[chosen].to(tokens))

    return loss_of
