"""Reads and writes checkpoints, with a message for each way in which a file can be wrong.

Three formats are supported: the official network (`mogle.pt`, also called `global_local_mask_moe.pt`: a pickled
state dict, or the same tensors as .safetensors), the official LoRA (`pytorch_lora_weights.safetensors`),
and ours: one .safetensors with both (`mogle.*` and `transformer.*.lora_*`) and metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...masks.labels import NUM_MASKS
from ...support.errors import WeightsError
from ..mixture.network import MoGLE, MoGLEConfig, from_official, to_official
from ..stream.lora import LoRAError, MaskLoRA, finite_float
from ..stream.lora import parse as parse_lora
from ..stream.lora import write as write_lora
from ..stream.lora_names import is_lora_key, shown
from .lora_metadata import scaling_of
from .recipe import EXTRA, POOLED, STREAM, Recipe, check_static, config_metadata, read_config
from .tensors import read_tensors

NETWORK_PREFIX = "mogle."


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a file: a network, a LoRA, or both. `recipe` says how to use them."""

    network: MoGLE | None
    lora: MaskLoRA | None
    recipe: Recipe
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class NetworkCheckpoint(Checkpoint):
    """A checkpoint that has a network."""

    network: MoGLE


@dataclass(frozen=True)
class LoRACheckpoint(Checkpoint):
    """A checkpoint that has a LoRA."""

    lora: MaskLoRA


def read(path: Path | str) -> Checkpoint:
    """Read any of the three formats.

    Raises:
        WeightsError: the file cannot be used; the message gives the reason.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    lora_tensors = {name: tensor for name, tensor in tensors.items() if is_lora_key(name)}
    rest = {name: tensor for name, tensor in tensors.items() if name not in lora_tensors}
    combined = any(name.startswith(NETWORK_PREFIX) for name in rest) or "mogle.has_gating" in metadata
    network_tensors = {name.removeprefix(NETWORK_PREFIX) if combined else name: t for name, t in rest.items()}
    if not lora_tensors and not _looks_like_network(network_tensors) and not combined:
        raise WeightsError(_not_ours(path, tensors))
    if lora_tensors and network_tensors and not combined:
        raise WeightsError(
            f"{path.name} mixes LoRA tensors with others that are not MoGLE's (first: {shown(next(iter(rest)))})."
        )
    pooled = _pooled(path, network_tensors.pop(POOLED, None)) if combined else None
    network = _network(path, network_tensors, metadata) if combined or not lora_tensors else None
    lora = _lora(path, lora_tensors, metadata) if lora_tensors else None
    return Checkpoint(network, lora, _recipe(path, metadata, pooled, network), metadata)


def read_network(path: Path | str) -> NetworkCheckpoint:
    """Read a file that must hold a network, with or without a LoRA."""
    checkpoint = read(path)
    if checkpoint.network is None:
        raise WeightsError(
            f"{Path(path).name} is the LoRA, not the network: give it to LoRA Apply, and give Load MoGLE the "
            "network (mogle.pt or global_local_mask_moe.pt) or a combined .safetensors."
        )
    return NetworkCheckpoint(checkpoint.network, checkpoint.lora, checkpoint.recipe, checkpoint.metadata)


def read_lora(path: Path | str) -> LoRACheckpoint:
    """Read a file that must hold a LoRA, with or without a network."""
    checkpoint = read(path)
    if checkpoint.lora is None:
        raise WeightsError(
            f"{Path(path).name} is the network, not the LoRA: give it to Load MoGLE, and give LoRA Apply the "
            "LoRA (pytorch_lora_weights.safetensors) or a combined .safetensors."
        )
    return LoRACheckpoint(checkpoint.network, checkpoint.lora, checkpoint.recipe, checkpoint.metadata)


def save(
    path: Path | str,
    network: MoGLE | None,
    lora: MaskLoRA | None,
    recipe: Recipe,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write one combined .safetensors: network, LoRA with its alphas, and the recipe."""
    # Imported here, because the Registry's package for the nodes reads files but does not write any.
    from ...support.tensor_files import write_safetensors

    write_safetensors(Path(path), *combined(network, lora, recipe, metadata))


def combined(
    network: MoGLE | None, lora: MaskLoRA | None, recipe: Recipe, metadata: Mapping[str, str] | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The contents of the file that `save` writes: the tensors by name, and the metadata."""
    tensors: dict[str, Tensor] = {}
    # Notes on this file's contents replace those of the file that it was made from.
    variant = config_metadata(MoGLEConfig())
    inherited = {name: note for name, note in (metadata or {}).items() if name not in (*variant, STREAM, EXTRA)}
    notes = {**inherited, "format": "pt", **recipe.metadata()}
    if network is not None:
        official = to_official(dict(network.named_parameters()), network.config)
        tensors.update({f"{NETWORK_PREFIX}{name}": tensor for name, tensor in official.items()})
        notes.update(config_metadata(network.config))
    if recipe.pooled is not None:
        tensors[f"{NETWORK_PREFIX}{POOLED}"] = recipe.pooled
    if lora is not None:
        tensors.update(written := write_lora(lora))
        ranks = {part.rank for name in lora.rows for part in lora.parts(name)}
        alphas = {part.alpha for name in lora.rows for part in lora.parts(name)}
        notes["mogle.lora_rank"] = ",".join(str(rank) for rank in sorted(ranks))
        notes["mogle.lora_alpha"] = ",".join(f"{alpha:g}" for alpha in sorted(alphas))
        if len(ranks) == len(alphas) == 1:
            notes["lora_adapter_metadata"] = _adapter_metadata(ranks.pop(), alphas.pop(), written)
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, notes


def _looks_like_network(names: Mapping[str, Any]) -> bool:
    return any(name.startswith(("gating.", "global_expert.", "local_experts.", "extra_experts.")) for name in names)


def _not_ours(path: Path, tensors: Mapping[str, Tensor]) -> str:
    if any(name.endswith(("double_blocks.0.img_attn.qkv.weight", "img_in.weight")) for name in tensors):
        kind = "a FLUX transformer (it belongs into models/diffusion_models)"
    elif any(name.startswith(("encoder.", "decoder.", "first_stage_model.", "taesd_")) for name in tensors):
        kind = "a VAE (it belongs into models/vae)"
    else:
        kind = f"something else: its first tensor is {shown(next(iter(tensors), 'missing'))}"
    return (
        f"{path.name} is not a file of Face-MoGLE but {kind}. Expected the network (mogle.pt, "
        "global_local_mask_moe.pt), the LoRA (pytorch_lora_weights.safetensors) or a combined .safetensors."
    )


def _network(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> MoGLE:
    try:
        config = read_config(tensors, metadata)
    except ValueError as error:
        raise WeightsError(f"{path.name}: {error}") from error
    with torch.device("meta"):
        network = MoGLE(config)
    wanted = {name: tuple(t.shape) for name, t in to_official(network.state_dict(), config).items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if missing := [name for name in wanted if name not in shapes]:
        raise WeightsError(_listing(path, "lacks", missing, "of the MoGLE network; it was cut or renamed"))
    if extra := [name for name in shapes if name not in wanted]:
        raise WeightsError(_listing(path, "has", extra, "that no MoGLE network has"))
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise WeightsError(
                f"{path.name}: tensor {name!r} is {shapes[name]}, expected {shape}. The network is for "
                f"{NUM_MASKS} masks of FLUX's 16-channel latents; this one was made for something else."
            )
    try:
        values = {name: finite_float(name, tensor).float() for name, tensor in tensors.items()}
    except LoRAError as error:
        raise WeightsError(f"{path.name}: {error}") from error
    network.load_state_dict(from_official(values, config), assign=True)
    return network.requires_grad_(False).train(False)


def _recipe(path: Path, metadata: Mapping[str, str], pooled: Tensor | None, network: MoGLE | None) -> Recipe:
    try:
        recipe = Recipe.from_metadata(metadata, pooled)
        check_static(recipe, MoGLEConfig() if network is None else network.config)
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error
    return recipe


def _pooled(path: Path, tensor: Tensor | None) -> Tensor | None:
    """The pooled vector of the empty prompt, (P,) float32."""
    if tensor is None:
        return None
    name = f"{NETWORK_PREFIX}{POOLED}"
    if tensor.ndim != 1 or not tensor.numel():
        raise WeightsError(f"{path.name}: {name} is {tuple(tensor.shape)}, expected one vector (P,).")
    try:
        return finite_float(name, tensor).float()
    except LoRAError as error:
        raise WeightsError(f"{path.name}: {error}") from error


def _lora(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> MaskLoRA:
    try:
        return parse_lora(tensors, scaling_of(metadata, path)).requires_grad_(False).train(False)
    except LoRAError as error:
        raise WeightsError(f"{path.name}: {error}") from error


def _adapter_metadata(rank: int, alpha: float, tensors: Mapping[str, Tensor]) -> str:
    """The LoRA's configuration in diffusers' format; without it, diffusers assumes alpha = rank."""
    ending = ".lora_A.weight"
    modules = sorted(name.removesuffix(ending) for name in tensors if name.endswith(ending))
    config = {"r": rank, "lora_alpha": alpha, "target_modules": [m.removeprefix("transformer.") for m in modules]}
    return json.dumps({f"transformer.{name}": value for name, value in config.items()})


def _listing(path: Path, verb: str, names: list[str], what: str) -> str:
    some = ", ".join(name[:160] for name in names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{path.name} {verb} {len(names)} tensors ({some}) {what}."
