"""The interface of a parser: a network that assigns one of the 19 classes to each pixel of a photo."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


class Parser(Protocol):
    """Pictures (B, H, W, 3) float in 0..1 of any size -> CelebAMask-HQ ids (B, H, W) uint8 on the CPU.

    `module` holds all weights, so that a host can move them. A parser computes on the device of its weights.
    """

    @property
    def module(self) -> nn.Module: ...

    def __call__(self, pictures: Tensor) -> Tensor: ...


def as_levels(pictures: Tensor) -> Tensor:
    """Pictures (B, H, W, 3 or 4) float in 0..1 as 8-bit levels (B, H, W, 3) on the CPU; opacity is left out.

    Raises ValueError for any other shape.
    """
    if pictures.ndim != 4 or pictures.shape[-1] not in (3, 4) or pictures.numel() == 0:
        raise ValueError(
            f"A parser was given a picture of shape {tuple(pictures.shape)}; expected (batch, height, width, 3), "
            "as Load Image gives it."
        )
    return (pictures[..., :3].detach().float().clamp(0, 1) * 255).round().to("cpu", torch.uint8)


def likeliest(logits: Tensor, height: int, width: int) -> Tensor:
    """Logits (19, h, w) -> ids (height, width) uint8 on the CPU: scaled bilinearly, then the argmax.

    It takes one picture at a time, because 19 planes at a photo's full size need much memory.
    """
    logits = nn.functional.interpolate(logits[None], size=(height, width), mode="bilinear", align_corners=False)
    return logits[0].argmax(dim=0).to("cpu", torch.uint8)
