"""Initialises network and LoRA. The LoRA's B is zero, so that at first it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch

from ..model.flux.model import Flux
from ..model.mixture.network import MoGLE, MoGLEConfig
from ..model.stream.layer_names import MASK_STREAM_LAYERS, layer_of, to_diffusers
from ..model.stream.lora import LoRAPart, MaskLoRA
from .data.draws import Times, generator, timesteps

TIMES = 255
"""Over how many times a gate is averaged."""

Targets = Literal["official", "attention", "query_key"]

# how many of each layer's parts by row (q, k, v and, in `linear1`, the MLP) have a pair
_TARGETS: Mapping[Targets, Mapping[str, int]] = {
    # The official list has a double block's second MLP layer but not its first.
    "official": {name: 4 for name in MASK_STREAM_LAYERS - {"img_mlp.0"}},
    "attention": {"img_attn.qkv": 3, "img_attn.proj": 1, "linear1": 3},
    "query_key": {"img_attn.qkv": 2, "linear1": 2},
}


def fresh_network(config: MoGLEConfig | None, seed: int) -> MoGLE:
    """The network with torch's default initialisation, from this seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "network", 0).initial_seed())
        return MoGLE(config)


@torch.no_grad()
def blinded(network: MoGLE) -> MoGLE:
    """The network with a gate that sees neither noise nor time: it sees their mean over training's draws instead.

    The noisy picture's mean is taken as 0, and times are spread as training draws them.
    """
    gate = network.gating
    assert gate is not None and not gate.static
    blind = MoGLE(replace(network.config, gate="static")).requires_grad_(False).train(network.training)
    times = timesteps(torch.special.ndtri(torch.linspace(0, 1, TIMES + 2)[1:-1]), 1, Times())
    seen = gate.noise_proj.bias + gate.timestep_embedding(times.to(gate.noise_proj.bias)).mean(dim=0)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items() if name in blind.state_dict()}
    kept["gating.gate.0.bias"] += gate.gate[0].weight @ seen
    blind.load_state_dict(kept)
    return blind


def with_extra(network: MoGLE, extra: tuple[str, ...], seed: int) -> MoGLE:
    """The network with a fresh expert for each further condition that it lacks; it computes what it did before.

    Raises:
        ValueError: `extra` lacks a condition that the network has, or has those in another order.
    """
    had = network.config.extra
    if extra[: len(had)] != had:
        raise ValueError(
            f"The network was trained with the further conditions {', '.join(had)}, and the configuration names "
            f"{', '.join(extra) or 'none'}: name the network's first, in their order, and then the new ones."
        )
    if extra == had:
        return network
    grown = fresh_network(replace(network.config, extra=extra), seed)
    grown.load_state_dict({**grown.state_dict(), **network.state_dict()})
    return grown


def fresh_lora(
    flux: Flux, rank: int, rng: torch.Generator, alpha: float | None = None, targets: Targets = "official"
) -> MaskLoRA:
    """Float32 pairs of this rank for the transformer's mask stream, A gaussian; q, k, v and the MLP apart.

    alpha: None is the rank, that is a factor of 1.
    targets: `official`, all of the official list's layers; `attention`, q, k, v and their projection in double
        blocks, q, k, v in single ones; `query_key`, q and k alone.
    """
    parts = {}
    for name, module in flux.named_modules():
        # A quantised Linear is not an nn.Linear, but it has the same attributes.
        if not hasattr(module, "in_features") or (taken := _TARGETS[targets].get(layer_of(name), 0)) == 0:
            continue
        count, width, rows = len(to_diffusers(name) or (name,)), int(module.in_features), int(module.out_features)
        starts = [i * width for i in range(count)]
        stops = [*starts[1:], rows]
        parts[name] = [
            LoRAPart(
                start,
                torch.randn(rank, width, generator=rng) / rank,
                torch.zeros(stop - start, rank),
                float(rank) if alpha is None else alpha,
            )
            for start, stop in list(zip(starts, stops, strict=True))[:taken]
        ]
    return MaskLoRA(parts)
