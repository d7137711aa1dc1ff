"""Encoded masks in a .safetensors file: what it holds, and a sentence for every file that is not one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor

from ...masks.decouple import MaskError
from ...masks.labels import NUM_CLASSES, NUM_MASKS
from ...support.errors import WeightsError
from ..checkpoints.tensors import read_tensors
from ..flux_latents import DOWNSCALE, LATENT_CHANNELS
from .mask_latents import MaskLatents

ENDING = ".masks.safetensors"
FORMAT, VERSION = "mogle.masks", "1"
LATENTS, IDS, EXTRA = "latents", "ids", "extra"


def tensors_of(masks: MaskLatents) -> dict[str, Tensor]:
    """What a file of these masks holds: latents (B, 20, 16, H/8, W/8) and, if known, label maps (B, H, W).

    Raises:
        MaskError: another node added something that such a file has no place for.
    """
    others = [one.name for one in fields(masks) if one.name not in (LATENTS, IDS, EXTRA) and getattr(masks, one.name)]
    if others := [*masks.extra, *others]:
        raise MaskError(
            f"Save Masks stores encoded masks and nothing else, and these also carry {', '.join(others)}: connect it "
            "to MoGLE Encode, before that is added."
        )
    tensors = {LATENTS: masks.latents} | ({} if masks.ids is None else {IDS: masks.ids.to(torch.uint8)})
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def read_masks(path: Path) -> MaskLatents:
    """The encoded masks of a file that Save Masks wrote.

    Raises:
        WeightsError: the file was not written by Save Masks, is from a newer version, or is damaged.
    """
    tensors, metadata = read_tensors(path)
    found = metadata.get(FORMAT)
    if found is None:
        raise WeightsError(
            f"{path.name} holds no encoded masks ({_contents(tensors)}): choose a file that Save Masks wrote. Latents "
            "of pictures are loaded with Load Latent, networks with Load MoGLE."
        )
    if found != VERSION:
        raise WeightsError(
            f"{path.name} was written in version {found[:20]} of the format, and this extension reads {VERSION}: "
            "update ComfyUI-MoGLE, or encode the masks again."
        )
    latents, ids = tensors.get(LATENTS), tensors.get(IDS)
    if (complaint := _complaint(latents, ids)) or latents is None:
        raise WeightsError(f"{path.name} is damaged: {complaint}. Encode the masks again and save them.")
    return MaskLatents(latents, ids)


def _complaint(latents: Tensor | None, ids: Tensor | None) -> str:
    """What is wrong with a file's tensors; empty if nothing is."""
    if latents is None or latents.ndim != 5 or latents.shape[1:3] != (NUM_MASKS, LATENT_CHANNELS):
        found = "no latents" if latents is None else f"latents of shape {tuple(latents.shape)}"
        return f"it has {found}; expected (batch, {NUM_MASKS}, {LATENT_CHANNELS}, height / 8, width / 8)"
    if not latents.is_floating_point() or not latents.numel() or not latents.isfinite().all():
        return "its latents are not finite numbers"
    batch, (height, width) = len(latents), latents.shape[-2:]
    if ids is None:
        return ""
    if ids.dtype != torch.uint8 or ids.shape != (batch, height * DOWNSCALE, width * DOWNSCALE):
        return f"its label maps have the shape {tuple(ids.shape)}, which does not fit its latents"
    return "" if ids.max() < NUM_CLASSES else f"its label maps name a class {int(ids.max())}"


def _contents(tensors: Mapping[str, Tensor]) -> str:
    names = sorted(tensors)
    return f"its tensors are {', '.join(name[:60] for name in names[:3])}{', …' if len(names) > 3 else ''}"
