"""The sketch of `mogle demo --sketch`: drawn by the toy or read from a file, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dataset.reading import read_picture
from ..model.conditions import KINDS
from ..support.errors import WeightsError
from .drawer.faceset import HELD_OUT
from .drawer.sketching import draw_sketch
from .places import SKETCH_FILE

DRAWN = "drawn"
"""Stands for the sketch of the face that the demo draws, where a file could be named."""

_LINE = torch.tensor((255.0, 0.0, 160.0))


def sketch_weights(folder: Path) -> Path:
    """The world's network for sketches. Raises WeightsError if the folder has none."""
    path = folder / SKETCH_FILE
    if not path.is_file():
        raise WeightsError(
            f"--sketch needs a network with an expert for sketches, and {folder} has no {SKETCH_FILE}. Make it by "
            f"`mogle toy build --stages sketch --out {folder}`, or name another folder by --weights."
        )
    return path


def drawn_sketch(seed: int, size: int) -> Tensor:
    """The sketch (size, size) uint8 of the demo's face."""
    return torch.from_numpy(draw_sketch(HELD_OUT + seed, size))


def read_sketch(path: Path, height: int, width: int) -> Tensor:
    """Read a drawing as white lines on black, (height, width) uint8. It is scaled to fit and keeps its proportions."""
    given = torch.from_numpy(read_picture(path).copy())[None] / 255
    scale = min(height / given.shape[1], width / given.shape[2])
    rows, columns = (max(1, round(side * scale)) for side in given.shape[1:3])
    levels = KINDS["sketch"].picture(given, (rows, columns))[0, :, :, 0]
    above, left = (height - rows) // 2, (width - columns) // 2
    whole = F.pad(levels, (left, width - columns - left, above, height - rows - above))
    return (whole * 255).round().to(torch.uint8)


def under_sketch(picture: Tensor, sketch: Tensor) -> Tensor:
    """Draw a sketch's lines (H, W) uint8 over a picture (H, W, 3) uint8."""
    share = (sketch / 255)[..., None] * 0.85
    return (picture * (1 - share) + _LINE * share).round().to(torch.uint8)
