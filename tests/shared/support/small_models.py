"""A small FLUX.1 with network and LoRA, all random, for whole sampling runs without ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.flux.model import Flux
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.model.stream.lora import MaskLoRA
from mogle_core.training.start import fresh_lora
from support.written_out import flux


@dataclass(frozen=True)
class Small:
    """What `mogle_core.model.sampling.sampler.sample` needs."""

    flux: Flux
    network: MoGLE
    lora: MaskLoRA
    recipe: Recipe


def small(seed: int = 0, gate: str = "matrix") -> Small:
    """Models that depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, network = flux(), MoGLE(MoGLEConfig(gate=gate))  # type: ignore[arg-type]
        lora = fresh_lora(model, 2, torch.Generator().manual_seed(seed)).requires_grad_(False)
        for parameter in lora.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    return Small(model, network, lora, Recipe())


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
