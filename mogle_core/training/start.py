"""The LoRA before its first step: the official list of layers, A gaussian, B zero, so that it changes nothing."""

from __future__ import annotations

import torch
from torch import nn

from ..flux import Flux
from ..lora import LoRAPart, MaskLoRA
from ..names import MASK_STREAM_LAYERS, layer_of, to_diffusers

_UNTRAINED = "img_mlp.0"  # the official list has a double block's second MLP layer but not its first


def fresh_lora(flux: Flux, rank: int, rng: torch.Generator, alpha: float | None = None) -> MaskLoRA:
    """Float32 pairs of this rank for the transformer's mask stream; q, k, v and a single block's MLP apart.

    alpha: None is the rank, that is a factor of 1.
    """
    parts = {}
    for name, module in flux.named_modules():
        layer = layer_of(name)
        if not isinstance(module, nn.Linear) or layer not in MASK_STREAM_LAYERS or layer == _UNTRAINED:
            continue
        count, width = len(to_diffusers(name) or (name,)), module.in_features
        starts = [i * width for i in range(count)]
        stops = [*starts[1:], module.out_features]
        parts[name] = [
            LoRAPart(
                start,
                torch.randn(rank, width, generator=rng) / rank,
                torch.zeros(stop - start, rank),
                float(rank) if alpha is None else alpha,
            )
            for start, stop in zip(starts, stops, strict=True)
        ]
    return MaskLoRA(parts)
