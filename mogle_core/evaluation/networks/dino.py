"""DINO's keys, from which the structure score is computed, from a folder that transformers saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .clip import model_type, transformers

Preprocessing = Literal["official", "splice"]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SPLICE_SIDE = 224


@dataclass(frozen=True)
class Dino:
    """Pictures (N, 3, H, W) uint8 -> the keys of the last layer, all heads concatenated, (N, L, C).

    "official" passes pictures unchanged, in 0..1. "splice" resizes them to 224 pixels and normalises them, as DINO
    was trained and the distance was published.
    """

    network: Any
    preprocessing: Preprocessing = "official"

    def __call__(self, pictures: Tensor) -> Tensor:
        pixels = preprocess(pictures.float() / 255, self.preprocessing).to(self.network.device)
        caught: list[Tensor] = []
        handle = _last_key(self.network).register_forward_hook(lambda _, __, keys: caught.append(keys))
        try:
            self.network(pixel_values=pixels, interpolate_pos_encoding=True)
        finally:
            handle.remove()
        return caught[0].float()


def preprocess(pictures: Tensor, how: Preprocessing) -> Tensor:
    """(N, 3, H, W) in 0..1 -> the network's input."""
    if how == "official":
        return pictures
    height, width = pictures.shape[-2:]
    scale = SPLICE_SIDE / min(height, width)
    size = (round(height * scale), round(width * scale))
    small = F.interpolate(pictures, size=size, mode="bilinear", antialias=True, align_corners=False)
    mean, deviation = (torch.tensor(each).view(3, 1, 1).to(small) for each in (MEAN, DEVIATION))
    return (small - mean) / deviation


def load_dino(folder: Path, preprocessing: Preprocessing = "official", device: torch.device | str = "cpu") -> Dino:
    """Raises ValueError, with what to do, if this is not the folder of a ViT."""
    config = folder / "config.json"
    kind = model_type(config) if config.is_file() else None
    if kind != "vit":
        raise ValueError(
            f"{folder} is not a folder of DINO's ViT: download facebook/dino-vitb8, config.json and weights."
        )
    model = transformers().ViTModel.from_pretrained(str(folder), local_files_only=True, add_pooling_layer=False)
    return Dino(model.eval().to(device), preprocessing)


def _last_key(network: Any) -> Any:
    """The last layer's key projection, by its name in transformers 4 (`key`) or 5 (`k_proj`)."""
    named = [module for name, module in network.named_modules() if name.endswith((".key", ".k_proj"))]
    return named[-1]
