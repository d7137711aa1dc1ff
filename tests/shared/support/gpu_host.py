"""A ComfyUI for the benchmark's parts: on the part's device, from the kit or as it is installed."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

import torch

from support import hosts, stand_ins
from support.bench_models import RANK
from support.in_process import Comfy, boot
from support.rows import Rows
from support.small_weights import FluxSizes


class NoHostError(Exception):
    """There is no ComfyUI here."""


def booted(rows: Rows, **options: Any) -> Comfy:
    """options: ComfyUI's command line, by the names in `comfy.cli_args`. Raises NoHostError."""
    places = hosts.find()
    if not places:
        raise NoHostError(f"no ComfyUI was found: set {hosts.VARIABLE}, or make a kit by gpu_kit.py")
    if not os.environ.get("MOGLE_KIT") and (missing := places[0].missing_packages()):
        raise NoHostError(f"{places[0].name} cannot start here, which lacks {missing[0]}")
    _without_server()
    comfy = boot(places[0], {"cpu": not rows.cuda, **options}, extras=False)
    if comfy.failure and "MoGLEGatedCondition" not in _nodes():
        raise NoHostError(comfy.failure)
    return comfy


def _nodes() -> dict[str, Any]:
    return dict(importlib.import_module("nodes").NODE_CLASS_MAPPINGS)


def _without_server() -> None:
    """Nodes register routes at a server if there is one; its module needs packages that a card's machine may lack."""
    if os.environ.get("MOGLE_KIT"):
        stand_ins.install()
        module = ModuleType("server")
        module.PromptServer = type("PromptServer", (), {})  # type: ignore[attr-defined]
        sys.modules["server"] = module


DEV = FluxSizes(hidden=3072, axes=(16, 56, 56), double=19, single=38, context=4096, pooled=768)
SMALL = FluxSizes(hidden=256, axes=(16, 56, 56), double=1, single=2, context=96, pooled=64)


def random_flux(sizes: FluxSizes, fp8: bool, made_on: torch.device) -> Any:
    """A ModelPatcher of ComfyUI's own FLUX.1 with random weights; fp8 ones are widened to bf16 at use.

    made_on: where the weights are at first, from where ComfyUI loads what it wants.
    """
    import comfy.supported_models

    from support import tiny

    kind = torch.float8_e4m3fn if fp8 else torch.bfloat16
    outline = comfy.supported_models.Flux(tiny.outline(sizes))
    outline.set_inference_dtype(kind, torch.bfloat16 if fp8 else None)
    model = outline.get_model({}, "", device=made_on).eval()
    drawn_on = torch.device("cuda") if torch.cuda.is_available() else made_on
    for parameter in model.parameters():
        drawn = torch.randn(parameter.shape, device=drawn_on, dtype=torch.bfloat16) * parameter.shape[-1] ** -0.5
        parameter.data = drawn.to(kind).to(made_on)
    return tiny.patcher(model.requires_grad_(False))


def gated(comfy: Comfy, base: Any, sizes: FluxSizes, side: int, tokens: int, **inputs: Any) -> tuple[Any, Any, Any]:
    """Model and positive with a random network, LoRA and masks of side x side tokens; the positive without them."""
    from support import tiny

    host, versions = comfy.module("nodes.host"), comfy.module("nodes.host.versions")
    start, recipe = comfy.module("mogle_core.training.start"), comfy.module("mogle_core.model.checkpoints.recipe")
    network = comfy.module("mogle_core.model.mixture.network").MoGLE().requires_grad_(False)
    lora = start.fresh_lora(base.model.diffusion_model, RANK, torch.Generator().manual_seed(0)).requires_grad_(False)
    mogle = host.LoadedMoGLE(versions.patcher(network, None), lora, recipe.Recipe(), "sampling", "")
    latents = torch.randn(1, 20, 16, 2 * side, 2 * side)
    masks = comfy.module("mogle_core.model.mixture.mask_latents").MaskLatents(latents)
    positive = tiny.conditioning(1, sizes, tokens=tokens)
    node = comfy.node("MoGLEGatedCondition")
    model, masked, *_ = node(model=base, positive=positive, mogle=mogle, mask_latents=masks, **inputs)
    return model, masked, positive
