"""A sketch: white lines on black, of any width and grey. Drawings on white paper are turned round."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from . import lines
from .kind import Kind

_STYLES = 4


def picture(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Drawings (B, H, W, 3) in 0..1 -> white lines on black (B, h, w, 3).

    Whether a drawing is on white is told by its border: most of it is paper.
    """
    levels = on_black(lines.grey(images.float().clamp(0, 1)))
    if tuple(levels.shape[1:]) != size:
        # Over areas where it becomes smaller, so that thin lines fade and do not vanish.
        smaller = size[0] < levels.shape[1] or size[1] < levels.shape[2]
        mode = "area" if smaller else "bilinear"
        levels = F.interpolate(levels[:, None], size, mode=mode, align_corners=None if smaller else False)[:, 0]
    return levels.clamp(0, 1)[..., None].expand(-1, -1, -1, 3)


def on_black(levels: Tensor) -> Tensor:
    """Drawings (B, H, W) in 0..1 with their paper black: each is turned round if its border is rather white.

    The paper's own grey, which is the border's median, becomes exactly black.
    """
    border = torch.cat((levels[:, 0], levels[:, -1], levels[:, :, 0], levels[:, :, -1]), dim=1)
    paper = border.median(dim=1).values[:, None, None]
    levels, paper = torch.where(paper > 0.5, 1 - levels, levels), torch.where(paper > 0.5, 1 - paper, paper)
    return ((levels - paper) / (1 - paper)).clamp(0, 1)


def make(photo: Tensor, ids: Tensor, style: int) -> Tensor:
    """A sketch (H, W, 3) of a photo and its label map, in one of four styles.

    0: the label map's outlines and the photo's edges. 1: shading. 2: edges, thicker. 3: the outlines alone, in grey.
    """
    style %= _STYLES
    photos, maps = photo[None].float(), ids[None]
    if style == 0:
        drawn = torch.maximum(lines.outlines(maps), lines.edges(photos))
    elif style == 1:
        drawn = lines.shading(photos, 1.5, 0.5)
    elif style == 2:
        drawn = torch.maximum(lines.outlines(maps, 3.0), lines.edges(photos, 3.0, 0.7))
    else:
        drawn = lines.blurred(lines.outlines(maps, 2.0), 0.8).clamp(0, 1) * 0.8
    return drawn[0, :, :, None].expand(-1, -1, 3)


KIND = Kind(
    name="sketch",
    title="sketch",
    about="a line drawing, white on black or dark on white",
    picture=picture,
    make=make,
    styles=_STYLES,
)
