"""From pictures to features: what an extractor is, and running one over a folder batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from .pictures import batches


class PictureFeatures(Protocol):
    """Pictures (N, 3, H, W) uint8 of any size -> features (N, F). A user's torch module will do."""

    def __call__(self, pictures: Tensor, /) -> Tensor: ...


@torch.no_grad()
def features(
    extractor: PictureFeatures, paths: Sequence[Path], batch: int = 32, device: torch.device | str = "cpu"
) -> Tensor:
    """The features of pictures in the order of `paths`, (N, F) float32 on the CPU."""
    progress = tqdm(total=len(paths), desc="features", unit="picture", leave=False, disable=None)
    found = []
    with progress:
        for pictures in batches(paths, batch):
            values = extractor(pictures.to(device)).float().cpu()
            if values.ndim != 2 or len(values) != len(pictures):
                raise ValueError(
                    f"The extractor made {tuple(values.shape)} of {len(pictures)} pictures; expected a row of "
                    "features for each, (N, F)."
                )
            found.append(values)
            progress.update(len(pictures))
    return torch.cat(found)
