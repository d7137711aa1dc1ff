"""Lines from photos and label maps, in plain torch: extended difference of Gaussians, edges, outlines."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

STYLES = ("shading", "edges", "outlines")
"""How Face Sketch draws: by extended difference of Gaussians, by edges, by a label map's outlines."""

_GREY = (0.299, 0.587, 0.114)


def grey(pictures: Tensor) -> Tensor:
    """Pictures (B, H, W, 3) -> luminance (B, H, W)."""
    return (pictures[..., :3] * pictures.new_tensor(_GREY)).sum(-1)


def shading(pictures: Tensor, width: float = 1.0, detail: float = 0.5) -> Tensor:
    """Lines (B, H, W) in 0..1 by the extended difference of Gaussians (Winnemöller 2011).

    width: about how wide lines are, in 1/256 of the picture's shorter side. detail: 0 draws only strong lines, 1 also
    faint ones.
    """
    levels = grey(pictures)
    sigma = 0.8 * width * min(levels.shape[1:]) / 256
    near, far = blurred(levels, max(0.3, sigma)), blurred(levels, max(0.5, 1.6 * sigma))
    # Dark lines are where the near mean is below the far one; the threshold falls with the detail.
    dark = (far - near) - 0.02 * (1 - detail) ** 2
    return torch.tanh(dark.clamp_min(0) * (20 + 60 * detail))


def edges(pictures: Tensor, width: float = 1.0, detail: float = 0.5) -> Tensor:
    """Edges (B, H, W) in 0..1: the gradient's ridges above a threshold; see `shading` for width and detail."""
    levels = blurred(grey(pictures), max(0.5, 1.2 * min(pictures.shape[1:3]) / 256))
    down, right = _gradient(levels)
    strength = (down.square() + right.square()).sqrt()
    ridge = _ridges(strength, down, right)
    threshold = 0.01 + 0.07 * (1 - detail) ** 2
    return thickened((ridge & (strength > threshold)).float(), width)


def outlines(ids: Tensor, width: float = 1.0) -> Tensor:
    """The outlines (B, H, W) in 0 and 1 of label maps (B, H, W); see `shading` for width."""
    lines = torch.zeros(ids.shape, device=ids.device)
    lines[:, :-1][ids[:, :-1] != ids[:, 1:]] = 1
    lines[:, :, :-1][ids[:, :, :-1] != ids[:, :, 1:]] = 1
    return thickened(lines, width)


def thickened(lines: Tensor, width: float) -> Tensor:
    """Lines (B, H, W) of one pixel, made `width` 256ths of the shorter side wide."""
    reach = round((width * min(lines.shape[1:]) / 256 - 1) / 2)
    return lines if reach < 1 else F.max_pool2d(lines[:, None], 2 * reach + 1, 1, reach)[:, 0]


def blurred(levels: Tensor, sigma: float) -> Tensor:
    """Levels (B, H, W) under a Gaussian of this deviation in pixels; edges are repeated."""
    reach = min(math.ceil(3 * sigma), min(levels.shape[1:]) - 1)
    x = torch.arange(-reach, reach + 1, device=levels.device, dtype=levels.dtype)
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    padded = F.pad(levels[:, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))[:, 0]


def _gradient(levels: Tensor) -> tuple[Tensor, Tensor]:
    """The slope downwards and to the right, (B, H, W) each, by Sobel's filter."""
    sobel = levels.new_tensor([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]) / 8
    padded = F.pad(levels[:, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, sobel[None, None])[:, 0], F.conv2d(padded, sobel.T[None, None])[:, 0]


def _ridges(strength: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Where the strength is the largest across the edge, (B, H, W) bool."""
    around = F.pad(strength[:, None], (1, 1, 1, 1))[:, 0]
    height, width = strength.shape[1:]

    def shifted(dy: int, dx: int) -> Tensor:
        return around[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    steep, flat = down.abs() > 2.414 * right.abs(), right.abs() > 2.414 * down.abs()
    falling = down * right > 0
    pairs = ((steep, (1, 0)), (flat, (0, 1)), (~steep & ~flat & falling, (1, 1)), (~steep & ~flat & ~falling, (1, -1)))
    ridge = torch.zeros_like(steep)
    for where, (dy, dx) in pairs:
        # One of the two must be strictly smaller, so that an edge between two equal pixels is one line and not two.
        ridge |= where & (strength >= shifted(dy, dx)) & (strength > shifted(-dy, -dx))
    return ridge
