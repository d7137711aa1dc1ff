"""What the benchmarks measure: transformers, LoRAs and inputs of any size, with random weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.stream.lora import MaskLoRA
from mogle_core.training.start import fresh_lora

REDUCED = FluxParams(vec_in_dim=64, context_in_dim=256, hidden_size=768, num_heads=6, depth=3, depth_single_blocks=6)
RANK = 4


@dataclass(frozen=True)
class Inputs:
    """The inputs of one step, for an image of `grid` tokens."""

    image: Tensor
    text: Tensor
    time: Tensor
    pooled: Tensor
    guidance: Tensor
    masks: Tensor
    grid: tuple[int, int]

    @classmethod
    def random(cls, params: FluxParams, side: int, text: int, like: Tensor) -> Inputs:
        """Inputs of side x side tokens, with dtype and device of `like`."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, device=like.device, dtype=like.dtype)

        tokens, one = side * side, like.new_ones(1)
        return cls(
            normal(1, tokens, 64), normal(1, text, params.context_in_dim), 0.6 * one, normal(1, params.vec_in_dim),
            3.5 * one, normal(1, 20, tokens, 64), (side, side),
        )  # fmt: skip


def random_flux(params: FluxParams, dtype: torch.dtype, device: torch.device) -> Flux:
    """The transformer with random weights, created on its device; on `meta` it has only shapes."""
    with torch.device("meta"):
        model = Flux(params)
    model = model.to(dtype).to_empty(device=device)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return model.requires_grad_(False).eval()


def random_lora(model: Flux, dtype: torch.dtype, device: torch.device) -> MaskLoRA:
    """A LoRA on the layers that the official trainer uses, without a zero in it."""
    lora = fresh_lora(model, RANK, torch.Generator().manual_seed(0)).to(device, dtype).requires_grad_(False)
    for parameter in lora.parameters():
        torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return lora
