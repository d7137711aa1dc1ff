"""The models and inputs that the parts measure: FLUX.1-dev's size, or a small one that any device can run."""

from __future__ import annotations

import torch
from support.bench_models import Inputs, random_flux, random_lora
from support.rows import Rows
from torch import Tensor

from mogle_core.model.flux.frozen import replace_linears
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.fp8 import Fp8Linear
from mogle_core.model.mixture.network import MoGLE
from mogle_core.model.stream.lora import MaskLoRA
from mogle_core.model.stream.transformer import blocks_of

GIB = 2**30
SMALL = FluxParams(vec_in_dim=64, context_in_dim=96, hidden_size=256, num_heads=2, depth=1, depth_single_blocks=2)


def params_of(rows: Rows, depth: int = 19, single: int = 38) -> FluxParams:
    return SMALL if rows.small else FluxParams(depth=depth, depth_single_blocks=single)


def pixels(rows: Rows) -> tuple[int, ...]:
    return (64,) if rows.small else (512, 1024)


def inputs(rows: Rows, params: FluxParams, size: int, like: Tensor) -> Inputs:
    return Inputs.random(params, size // 16, 16 if rows.small else 512, like)


def like(rows: Rows) -> Tensor:
    return torch.empty(0, dtype=torch.bfloat16, device=rows.device)


def models(rows: Rows, params: FluxParams, kind: str = "bf16") -> tuple[Flux, MoGLE, MaskLoRA]:
    """Transformer in bf16 or with fp8 weights, network and LoRA, of random numbers."""
    one = like(rows)
    flux = random_flux(params, one.dtype, one.device)
    lora = random_lora(flux, one.dtype, one.device)
    if kind == "fp8":
        for block in blocks_of(flux).values():
            replace_linears(block, Fp8Linear)
    return flux, MoGLE().to(one).requires_grad_(False), lora
