"""What the nodes take from ComfyUI beside the model: folders, checkpoints, VAEs, latents."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

import comfy.latent_formats
import comfy.model_management
import folder_paths
import torch
from torch import Tensor

from ...mogle_core.model.checkpoints import files as weights
from ...mogle_core.model.checkpoints.recipe import Recipe
from ...mogle_core.model.flux_latents import DOWNSCALE, LATENT_CHANNELS
from ...mogle_core.model.mixture.gate_time import GateTimestep
from ...mogle_core.model.mixture.mask_latents import MaskLatents
from ...mogle_core.model.mixture.network import MoGLE
from ...mogle_core.model.stream.lora import MaskLoRA
from ...mogle_core.parse.files import FOLDER as PARSING_FOLDER
from ...mogle_core.support.identity import identity as identity_of
from .versions import ModelPatcher, patcher

MOGLE_FOLDER = "mogle"
DETECTION_FOLDER = "face_detection"
_ENDINGS = {
    MOGLE_FOLDER: {".pt", ".safetensors", ".sft"},
    PARSING_FOLDER: {".safetensors", ".sft", ".onnx"},
    DETECTION_FOLDER: {".onnx"},
}


class VAE(Protocol):
    """What is used of `comfy.sd.VAE`."""

    first_stage_model: torch.nn.Module

    def encode(self, pixel_samples: Tensor) -> Tensor: ...


class Latent(TypedDict, total=False):
    """A LATENT. batch_index: which places its pictures had in the batch that they were taken from."""

    samples: Tensor
    batch_index: list[int]


@dataclass(frozen=True)
class LoadedMoGLE:
    """What a MOGLE socket carries: the network under ComfyUI's memory management, and how it is meant.

    lora: of a combined file, used unless LoRA Apply brings another.
    """

    patcher: ModelPatcher
    lora: MaskLoRA | None
    recipe: Recipe
    gate_timestep: GateTimestep
    path: str

    @property
    def network(self) -> MoGLE:
        network: MoGLE = self.patcher.model
        return network


def register_models_folders() -> None:
    """Make our folders of models known; paths from extra_model_paths.yaml stay."""
    for folder, endings in _ENDINGS.items():
        folder_paths.add_model_folder_path(folder, os.path.join(folder_paths.models_dir, folder))
        paths, extensions = folder_paths.folder_names_and_paths[folder]
        # A folder that is made this way has no extensions, and would list every file.
        folder_paths.folder_names_and_paths[folder] = (paths, set(extensions) | endings)


def file_complaint(folder: str, name: str, remedy: str) -> str | None:
    """The sentence to show if the folder has no file `name`; None if it has one.

    Names that lead out of the folder are refused.
    """
    names = folder_paths.get_filename_list(folder)
    if name in names:
        return None
    if not names:
        return f"models/{folder} holds no file yet. {remedy}, then press R to refresh."
    return f"models/{folder} has no file {name!r}. {remedy}, or choose one of: {', '.join(names[:10])}."


def file_state(folder: str, name: str | None) -> str:
    """`path_state` of one of the folder's files."""
    return path_state(folder_paths.get_full_path(folder, name) if name else None)


def path_state(path: str | None) -> str:
    """A file's size and time of change, so that another file under the same name makes its node run again."""
    if path is None or not os.path.isfile(path):
        return ""
    stat = os.stat(path)
    return f"{stat.st_size} {stat.st_mtime_ns}"


def load_mogle(path: str, gate_timestep: Literal["auto", "sampling", "training"]) -> LoadedMoGLE:
    """Read a network (and its LoRA, if the file holds one)."""
    checkpoint = weights.read_network(path)
    recipe = checkpoint.recipe
    made = patcher(checkpoint.network, (network_patcher, (path,)))
    timestep = recipe.gate_timestep if gate_timestep == "auto" else gate_timestep
    return LoadedMoGLE(made, checkpoint.lora, recipe, timestep, path)


def network_patcher(path: str, disable_dynamic: bool = False) -> ModelPatcher:
    """The network once more, for another device (ComfyUI's multi-GPU asks for a copy by its loader)."""
    return patcher(weights.read_network(path).network, (network_patcher, (path,)))


def pixel_size(latent: Latent) -> tuple[int, int]:
    """Width and height in pixels of a LATENT."""
    samples: Tensor = latent["samples"]
    if samples.ndim != 4 or samples.shape[1] not in (4, LATENT_CHANNELS):
        raise ValueError(
            f"MoGLE Encode was given a latent of shape {tuple(samples.shape)}; expected a picture's, "
            f"(batch, {LATENT_CHANNELS}, height / 8, width / 8), as from Empty Latent Image."
        )
    return samples.shape[-1] * DOWNSCALE, samples.shape[-2] * DOWNSCALE


def batch_places(latent: Latent, masks: int) -> list[int] | None:
    """Which of so many masks belong to a part of a batch (Rebatch Latents, Latent From Batch); None: all of them.

    A part says in `batch_index` which places its pictures had in the whole batch.
    """
    places = latent.get("batch_index")
    if places is None or len(places) != len(latent["samples"]) or len(places) >= masks or max(places) >= masks:
        return None
    return list(places)


def empty_latent(masks: MaskLatents) -> Latent:
    """An empty latent of the masks' size and batch, as Empty Latent Image makes it."""
    device = comfy.model_management.intermediate_device()
    return {"samples": torch.zeros(masks.batch, LATENT_CHANNELS, *masks.latents.shape[-2:], device=device)}


def mask_encoder(vae: VAE) -> Callable[[Tensor], Tensor]:
    """The VAE as the core wants it: pictures (N, H, W, 3) -> FLUX.1's scaled latents (N, 16, H/8, W/8)."""
    shifted = comfy.latent_formats.Flux().process_in

    def encode(pictures: Tensor) -> Tensor:
        latents: Tensor = shifted(vae.encode(pictures))
        return latents

    return encode


def identity(vae: VAE) -> int:
    """A number for the VAE's weights that is never given again, not even after it was freed."""
    return identity_of(vae.first_stage_model)
