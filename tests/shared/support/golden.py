"""The official code's reference run: its models and cases, read once for all tests that use them."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from mogle_core.model.flux.files import load, read_params
from mogle_core.model.flux.model import Flux
from mogle_core.model.mixture import network
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.lora import MaskLoRA, parse
from support.places import DATA

GOLDEN = DATA / "golden"
AXES = (4, 6, 6)
"""How the tiny transformer's heads are divided over the rotary positions."""


def read_cases() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Tensor]]]:
    """The settings of each case, and the tensors of each case."""
    with safe_open(GOLDEN / "cases.safetensors", "pt") as file:
        settings = json.loads(file.metadata()["cases"])
        tensors: dict[str, dict[str, Tensor]] = {}
        for key in file.keys():  # noqa: SIM118 (safe_open is no dict)
            case, name = key.split("/", 1)
            tensors.setdefault(case, {})[name] = file.get_tensor(key)
    return settings, tensors


SETTINGS, CASES = read_cases()
STEPS = sorted(set(CASES) - {"euler4", "training_step"})
VARIANTS = {
    "ablation_scalar_gating": MoGLEConfig(gate="scalar"),
    "ablation_no_gating": MoGLEConfig(gate="none"),
    "ablation_no_experts": MoGLEConfig(has_experts=False),
    "ablation_neither": MoGLEConfig(has_experts=False, gate="none"),
}


def stream_options(case: str) -> StreamOptions:
    """Ours for the official options of a case."""
    official = SETTINGS[case]["model_config"]
    return StreamOptions(
        union_attention=official["union_cond_attn"],
        independent_condition=official.get("independent_condition", False),
        add_condition_attention=official["add_cond_attn"],
        latent_lora=official["latent_lora"],
        strength=SETTINGS[case].get("condition_scale", 1.0),
    )


def read_transformer() -> Flux:
    """The tiny FLUX.1 of the reference run."""
    tensors = load_file(GOLDEN / "flux_tiny.safetensors")
    return load(tensors.items(), read_params({name: tuple(t.shape) for name, t in tensors.items()}, AXES))


def read_network(config: MoGLEConfig | None = None) -> MoGLE:
    """The reference's experts and gate. A variant has only some of them."""
    mogle = MoGLE(config)
    official = torch.load(GOLDEN / "global_local_mask_moe.pt", weights_only=True)
    tensors = network.from_official(official, mogle.config)
    mogle.load_state_dict({name: tensors[name] for name in mogle.state_dict()})
    return mogle


def read_lora() -> MaskLoRA:
    return parse(load_file(GOLDEN / "pytorch_lora_weights.safetensors"))


def reference_frequencies(network: ModuleType) -> Tensor:
    """The gate's 32 time frequencies as the reference's processor computed them.

    It rounded one of them up, although the nearest float32 is below: exp(-3 ln 10000 / 32) lies 0.479 of a float32
    step above its lower neighbour, nearly half way. At t = 970 this step changes gate weights by 4e-5. The official
    code, run on another processor than the reference's, differs as much from the reference.
    """
    frequencies: Tensor = network._frequencies(torch.device("cpu")).clone()
    frequencies[3] = torch.nextafter(frequencies[3], torch.tensor(torch.inf))
    return frequencies
