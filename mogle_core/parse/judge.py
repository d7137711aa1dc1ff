"""The toy world's judge as a parser: small enough for tests, and for templates without a download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..support.errors import WeightsError
from ..toy.judge import Judge
from .parser import as_levels, likeliest

SIDE = 128
"""Pixels a side of the drawn faces that the judge was trained on."""


@dataclass(frozen=True)
class JudgeParser:
    """The judge as a `Parser`: it squashes pictures to 128 x 128 and stretches the logits back to their size."""

    module: nn.Module

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        levels = as_levels(pictures)
        height, width = levels.shape[1:3]
        return torch.stack([likeliest(self._logits(picture), height, width) for picture in levels])

    def _logits(self, picture: Tensor) -> Tensor:
        """(H, W, 3) uint8 -> (19, 128, 128)."""
        small = Image.fromarray(picture.numpy()).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small)).movedim(-1, 0)[None]
        logits: Tensor = self.module(pixels.to(next(self.module.parameters())) / 255)[0]
        return logits


def is_judge(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a file's tensors have the names of the judge's."""
    with torch.device("meta"):
        return set(tensors) == set(Judge().state_dict())


def read_judge(path: Path, tensors: Mapping[str, Tensor]) -> JudgeParser:
    """Read a judge. Raises WeightsError for one of other sizes."""
    judge = Judge()
    try:
        judge.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise WeightsError(
            f"{path.name} is a judge of another version of the toy world: make it anew by `mogle toy build`."
        ) from error
    return JudgeParser(judge.requires_grad_(False).train(False))
