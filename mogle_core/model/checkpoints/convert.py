"""Converts checkpoints between formats: the official pair, one combined file, .pt or .safetensors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from torch import Tensor

from ...support.errors import WeightsError
from ...support.tensor_files import write_safetensors, write_torch
from ..mixture.network import MoGLE, to_official
from ..stream.lora import LoRAPart, MaskLoRA
from ..stream.lora import write as write_lora
from .files import Checkpoint, read, save
from .recipe import Recipe, config_metadata

logger = logging.getLogger(__name__)

Form = Literal["combined", "official", "safetensors"]

OFFICIAL_NETWORK = "mogle.pt"
OFFICIAL_LORA = "pytorch_lora_weights.safetensors"


def convert(sources: Sequence[Path], target: Path, form: Form) -> list[Path]:
    """Write the contents of the sources in another format; return the paths of the new files.

    combined: one .safetensors at `target` with network, LoRA, alphas and metadata.
    official: `mogle.pt` and `pytorch_lora_weights.safetensors` in the folder `target`, with exactly the
        official keys; alpha / rank is folded into `lora_B`, since official readers assume alpha = rank.
    safetensors: as official, but the network is `mogle.safetensors`, whose metadata holds the recipe.

    A warning names everything that the official format cannot store.

    Raises:
        WeightsError: a source cannot be read, two sources hold the same part, or the format cannot store how the
            network has to be used.
    """
    whole = merge([read(source) for source in sources], sources)
    if whole.recipe.pooled is not None and form != "combined":
        raise WeightsError(
            "This checkpoint's mask stream takes the empty prompt's pooled vector, which only a combined file can "
            "store: convert it to combined."
        )
    if form == "official":
        _refuse_extra(whole)
    for sentence in lost_notes(whole, form):
        logger.warning("%s", sentence)
    if form == "combined":
        if target.suffix != ".safetensors":
            raise WeightsError(f"A combined file is a .safetensors; {target.name} is not named so.")
        save(target, whole.network, whole.lora, whole.recipe)
        return [target]
    target.mkdir(parents=True, exist_ok=True)
    written = []
    if whole.network is not None:
        written.append(_write_network(whole.network, whole.recipe, target, form))
    if whole.lora is not None:
        path = target / OFFICIAL_LORA
        write_safetensors(path, official_lora(whole.lora), {"format": "pt"})
        written.append(path)
    return written


def merge(checkpoints: Sequence[Checkpoint], sources: Sequence[Path]) -> Checkpoint:
    """Network and LoRA from several files as one checkpoint."""
    networks = [c.network for c in checkpoints if c.network is not None]
    loras = [c.lora for c in checkpoints if c.lora is not None]
    if len(networks) > 1 or len(loras) > 1:
        names = ", ".join(source.name for source in sources)
        raise WeightsError(f"The files {names} hold more than one network or more than one LoRA: give one of each.")
    with_notes = [c for c in checkpoints if any(key.startswith("mogle.") for key in c.metadata)]
    recipe = with_notes[0].recipe if with_notes else Recipe()
    return Checkpoint(networks[0] if networks else None, loras[0] if loras else None, recipe, {})


def official_lora(lora: MaskLoRA) -> dict[str, Tensor]:
    """The official LoRA file's tensors: without alpha, its scale folded into `lora_B` (exact for powers of two)."""
    folded = {name: [_folded(part) for part in lora.parts(name)] for name in lora.rows}
    tensors = write_lora(MaskLoRA(folded))
    return {name: t.detach().contiguous().clone() for name, t in tensors.items() if not name.endswith(".alpha")}


def _folded(part: LoRAPart) -> LoRAPart:
    scale = part.alpha / part.rank
    return replace(part, up=part.up.detach() * scale, down=part.down.detach(), alpha=float(part.rank))


def lost_notes(checkpoint: Checkpoint, form: Form) -> list[str]:
    """Messages on notes of the checkpoint that the format cannot store, and what to do about each."""
    recipe, default = checkpoint.recipe, Recipe()
    if form == "combined" or checkpoint.network is None:
        return []
    sentences = []
    if recipe.gate_timestep != default.gate_timestep and form == "official":
        sentences.append(
            f"The official form has no place for the gate's timestep, which is {recipe.gate_timestep!r} here: choose "
            f"gate_timestep = {recipe.gate_timestep} in Load MoGLE, or convert to safetensors or combined instead."
        )
    others = [
        f"{name} = {getattr(recipe, name)}"
        for name in ("label_space", "resolution")
        if getattr(recipe, name) != getattr(default, name)
    ]
    if recipe.options != default.options:
        others.append(f"attention {recipe.options}")
    if others and form == "official":
        sentences.append(f"The official form does not say how the network was trained: {', '.join(others)}.")
    return sentences


def _refuse_extra(whole: Checkpoint) -> None:
    if whole.network is not None and (extra := whole.network.config.extra):
        raise WeightsError(
            f"This network has experts for {', '.join(extra)}, and the official form has no place for them: convert "
            "to safetensors or combined instead."
        )


def _write_network(network: MoGLE, recipe: Recipe, folder: Path, form: Form) -> Path:
    official = to_official({name: t.detach() for name, t in network.named_parameters()}, network.config)
    tensors = {name: tensor.contiguous().clone() for name, tensor in official.items()}
    if form == "official":
        path = folder / OFFICIAL_NETWORK
        write_torch(path, tensors)
    else:
        path = (folder / OFFICIAL_NETWORK).with_suffix(".safetensors")
        notes = {"format": "pt", **recipe.metadata()}
        if network.config.extra:  # other files stay as they were
            notes |= config_metadata(network.config)
        write_safetensors(path, tensors, notes)
    return path
