"""Validation at fixed seeds: on faces that training never sees, loss by noise level, gate statistics, pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..masks.labels import CLASS_NAMES
from ..model.checkpoints.recipe import Recipe
from ..model.flux.model import Flux
from ..model.flux_latents import DOWNSCALE
from ..model.mixture.network import MoGLE
from ..model.sampling.options import SamplingOptions
from ..model.sampling.sampler import noise_of, sample
from ..model.stream.lora import MaskLoRA
from ..support.whole_files import write_png
from .data.draws import DropRates, Times, draw_samples
from .data.samples import Samples
from .data.schedule import Pick
from .step import flow_loss, masked_velocity, noised

logger = logging.getLogger(__name__)

BINS = 5
"""The noise levels of the loss: each pair is measured once in each fifth of the logit-normal's t."""

STREAM = "validation"
_KEPT = DropRates(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Models:
    """The models to validate: the network and LoRA of the result if the run ended now."""

    flux: Flux
    network: MoGLE
    lora: MaskLoRA
    autocast: bool
    recipe: Recipe = Recipe(gate_timestep="training")


@torch.no_grad()
def measure(
    models: Models, samples: Samples, pairs: Sequence[int], seed: int, device: torch.device
) -> dict[str, float]:
    """Loss, loss by fifth of t, the gate's entropy (1: all experts have equal weight) and each expert's mean weight."""
    losses, gates = torch.zeros(BINS), []
    for pair in pairs:
        numbers = list(range(pair * BINS, (pair + 1) * BINS))
        batch = samples.batch([Pick(pair, pair)], device)
        for part, number in enumerate(numbers):
            draws = draw_samples(seed, STREAM, [number], batch.x0.shape[1], _KEPT, Times(strata=BINS)).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=models.autocast):
                given = (models.flux, models.network, models.lora, batch, draws)
                pooled = None if models.recipe.pooled is None else models.recipe.pooled.to(device)
                velocity = masked_velocity(*given, models.recipe.options, pooled)
                weights = models.network.gate_weights(batch.masks[:, 0], noised(batch.x0, draws), draws.t)
            losses[part] += flow_loss(velocity, batch.x0, draws).cpu() / len(pairs)
            if weights is not None:
                gates.append(weights.float())
    values = {"loss": float(losses.mean())}
    values |= {f"loss_{part + 1}_of_{BINS}": float(loss) for part, loss in enumerate(losses)}
    config = models.network.config
    values |= gate_numbers([gate[..., : config.num_experts].contiguous() for gate in gates], config.masks)
    for place, name in enumerate(config.extra if gates else ()):
        values[f"gate_{name}"] = float(torch.cat([gate[..., config.num_experts + place] for gate in gates]).mean())
    return values


def gate_numbers(gates: Sequence[Tensor], masks: slice) -> dict[str, float]:
    """For weights (B, L, E): entropy relative to its maximum, and mean weights. Warns if the gate has collapsed."""
    if not gates:
        return {"gate_entropy": 1.0}
    weights = torch.cat([gate.flatten(0, 1) for gate in gates])
    count = weights.shape[-1]
    entropy = float(torch.special.entr(weights).sum(dim=-1).mean()) / math.log(count) if count > 1 else 1.0
    means = weights.mean(dim=0).tolist()
    names = ("full mask", *CLASS_NAMES)[masks]
    if count > 1 and max(means) > 0.95:
        logger.warning(
            "The gate gives %s %.0f %% of all weight: it has collapsed, and the other masks say nothing any more. A "
            "lower optimiser.lr (or lr_network), or an earlier checkpoint, helps.",
            names[means.index(max(means))],
            100 * max(means),
        )
    return {"gate_entropy": entropy} | {f"gate_{name}": mean for name, mean in zip(names, means, strict=True)}


@torch.no_grad()
def contact_sheet(
    models: Models,
    samples: Samples,
    pairs: Sequence[int],
    seed: int,
    steps: int,
    guidance: float,
    device: torch.device,
    decode: Callable[[Tensor], Tensor],
    show: Callable[[int], Tensor],
) -> Image.Image:
    """A row for each pair: its mask and further conditions, the generated picture, and the mask over the picture.

    decode: latents (N, 16, H/8, W/8) -> pictures (N, H, W, 3) in 0..1. show: a pair's mask as (H, W, 3) in 0..1, or
        with its further conditions beside it.
    """
    rows = []
    for pair in pairs:
        batch = samples.batch([Pick(pair, pair)], device)
        height, width = (2 * side for side in batch.grid)
        noise = noise_of([seed + pair], height * DOWNSCALE, width * DOWNSCALE).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=models.autocast):
            latents = sample(
                models, batch.masks, (batch.context, batch.pooled), noise, SamplingOptions(steps, guidance)
            )
        made = decode(latents.float()).float().cpu()[0]
        shown = show(pair)
        rows.append(torch.cat((shown, made, 0.6 * made + 0.4 * shown[:, : made.shape[1]]), dim=1))
    width = max(row.shape[1] for row in rows)
    sheet = torch.cat([torch.nn.functional.pad(row, (0, 0, 0, width - row.shape[1])) for row in rows])
    return Image.fromarray((sheet.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def write_sheet(sheet: Image.Image, folder: Path, step: int) -> Path:
    path = folder / f"step_{step:08d}.png"
    write_png(sheet, path)
    return path
