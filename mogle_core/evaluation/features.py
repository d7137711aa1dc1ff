"""From pictures to features: the interface of an extractor, and the loop that runs it over a folder in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..support.progress import Progress
from ..support.sentences import counted
from .pictures import batches
from .spread import each_of


class PictureFeatures(Protocol):
    """Pictures (N, 3, H, W) uint8 of any size -> features (N, F). Any torch module of the user can be one."""

    def __call__(self, pictures: Tensor, /) -> Tensor: ...


@torch.no_grad()
def features(
    extractor: PictureFeatures, paths: Sequence[Path], batch: int = 32, device: torch.device | str = "cpu"
) -> Tensor:
    """The features of pictures in the order of `paths`, (N, F) float32 on the CPU."""
    progress = Progress(total=len(paths), desc="features", unit="picture", leave=False, disable=None)
    rows = []
    with progress:
        sizes: deque[int] = deque()
        for made in each_of(extractor, _calls(paths, batch, device, sizes)):
            values, count = made.float().cpu(), sizes.popleft()
            if values.ndim != 2 or len(values) != count:
                raise ValueError(
                    f"The extractor made {tuple(values.shape)} of {counted(count, 'picture')}; expected a row of "
                    "features for each, (N, F)."
                )
            rows.append(values)
            progress.update(count)
    return torch.cat(rows)


def _calls(paths: Sequence[Path], batch: int, device: torch.device | str, sizes: deque[int]) -> Iterator[tuple[Tensor]]:
    """sizes: is given the number of pictures of each batch as it is read."""
    for pictures in batches(paths, batch):
        sizes.append(len(pictures))
        yield (pictures.to(device),)
