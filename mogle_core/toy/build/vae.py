"""Trains the toy's VAE on drawn faces and on the masks that it will have to encode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...training.data.draws import generator
from ..drawer.faceset import FaceSet
from ..vae import ToyVAE
from .loop import Plan, fit
from .patches import start_from_patches
from .pictures import masks_as_pictures


def train_vae(
    faces: FaceSet,
    plan: Plan,
    folder: Path,
    seed: int,
    device: torch.device,
    batch: int = 20,
    crop: int = 32,
    start: Mapping[str, Tensor] | None = None,
    frozen_encoder: bool = False,
    faces_only: bool = False,
    noise: float = 0.02,
    name: str = "vae",
) -> ToyVAE:
    """L1 on pixels and on their differences; latents are kept near mean 0 and deviation 1 and get a little noise.

    noise: the most noise that is added to the decoder's latents, which have a deviation of about 0.36. A
    generator's latents are never exact.
    """
    torch.manual_seed(seed)
    vae = ToyVAE().to(device)
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start is None:
        start_from_patches(vae, _crops(faces, 2000, crop, generator(seed, "patches", 0)).to(device))
    vae.load_state_dict(start or {}, strict=False)
    vae.taesd_encoder.requires_grad_(not frozen_encoder)

    def loss_of(draw: torch.Generator, _step: int) -> Tensor:
        crops = _crops(faces, batch, crop, draw, faces_only).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            latents = vae.taesd_encoder(crops)
            level = noise * torch.rand(len(latents), 1, 1, 1, generator=draw)
            wrong = level * torch.randn(latents.shape, generator=draw)
            decoded = vae.taesd_decoder(latents + wrong.to(latents)).float()
        return _distance(decoded, crops) + 0.01 * _spread(latents.float())

    average = fit(vae, loss_of, plan, folder, name, seed)
    vae.load_state_dict(average, strict=False)
    if not frozen_encoder:
        vae.half().float()  # the precision of its file, so that later models train on exactly these latents
        some = torch.from_numpy(faces.pictures[:64]).to(device) / 255
        with torch.no_grad():
            vae.normalise(vae.encode_images(some))
    vae.half().float()
    return vae.requires_grad_(False).eval()


def _crops(faces: FaceSet, count: int, crop: int, draw: torch.Generator, faces_only: bool = False) -> Tensor:
    """Random windows (count, 3, crop, crop): three in five of pictures, one of a full mask, one of a local mask."""
    height, width = faces.ids.shape[1:]
    windows = []
    for number in range(count):
        which = int(torch.randint(len(faces), (), generator=draw))
        # The mean of two uniform draws prefers the middle, where eyes and mouth have the detail.
        where = torch.rand(2, 2, generator=draw).mean(dim=1)
        top, left = (int(share * (side - crop + 1)) for share, side in zip(where, (height, width), strict=True))
        window = np.s_[which, top : top + crop, left : left + crop]
        if faces_only or number % 5 < 3:
            windows.append(torch.from_numpy(faces.pictures[window]).movedim(-1, 0) / 255)
        else:
            windows.append(masks_as_pictures(torch.from_numpy(faces.ids[window]), number % 5 == 3, draw))
    return torch.stack(windows)


def _distance(decoded: Tensor, crops: Tensor) -> Tensor:
    error = decoded - crops
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    tints = F.avg_pool2d(error, 8).abs().mean()  # a uniform shift in colour costs little per pixel
    return error.abs().mean() + 0.5 * edges + tints + error.square().mean()


def _spread(latents: Tensor) -> Tensor:
    deviation, mean = torch.std_mean(latents, dim=(0, 2, 3))
    return (mean.square() + (deviation - 1).square()).mean()
