"""Writes the toy world's files: 16-bit tensors in ComfyUI's conventions; the metadata says how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from ..model.checkpoints.files import save
from ..model.checkpoints.recipe import Recipe
from ..model.mixture.network import MoGLE
from ..model.stream.lora import MaskLoRA
from ..support.tensor_files import write_safetensors
from .places import FILES
from .text import ToyText
from .world import World

RECIPE = Recipe(gate_timestep="training", resolution=128)


def write_world(world: World, folder: Path, notes: Mapping[str, str]) -> None:
    """Write all five files of a world into a folder.

    notes: how the weights were made, for every file's metadata.
    """
    write_model(world.flux, folder / FILES["flux"], torch.bfloat16, notes)
    write_model(world.vae, folder / FILES["vae"], torch.float16, notes)
    write_model(world.judge, folder / FILES["judge"], torch.float16, notes)
    write_text(world.text, folder / FILES["text"], notes)
    write_mogle(world.network, world.lora, folder / FILES["mogle"], notes)


def write_model(model: nn.Module, path: Path, dtype: torch.dtype, notes: Mapping[str, str]) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    write_safetensors(path, tensors, {"format": "pt", **notes})


def write_text(text: ToyText, path: Path, notes: Mapping[str, str]) -> None:
    """Write the text encoder; its vocabulary goes into the metadata."""
    write_model(text, path, torch.float16, {**notes, "toy.vocabulary": json.dumps(text.vocabulary)})


def write_mogle(network: MoGLE, lora: MaskLoRA, path: Path, notes: Mapping[str, str]) -> None:
    """Write network and LoRA into one file. Both modules are in float16 afterwards."""
    save(path, network.half(), lora.half(), RECIPE, notes)
