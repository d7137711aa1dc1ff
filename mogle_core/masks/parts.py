"""The parts of a face, each as a set of classes, and their places in a label map."""

from __future__ import annotations

import torch
from torch import Tensor

from .labels import IDS, NUM_CLASSES

Part = tuple[int, ...]
"""Class ids. A part with a left and a right side consists of two classes."""


def part(*names: str) -> Part:
    """The part that consists of these classes."""
    return tuple(IDS[name] for name in names)


SKIN = part("skin")
NOSE = part("nose")
GLASSES = part("eye_g")
EYES = part("l_eye", "r_eye")
BROWS = part("l_brow", "r_brow")
EARS = part("l_ear", "r_ear")
INNER_MOUTH = part("mouth")
UPPER_LIP = part("u_lip")
LOWER_LIP = part("l_lip")
MOUTH = INNER_MOUTH + UPPER_LIP + LOWER_LIP
HAIR = part("hair")
HAT = part("hat")
NECK = part("neck")
CLOTHING = part("cloth")


def is_part(ids: Tensor, of: Part) -> Tensor:
    """Where a label map (…) shows one of these classes, bool (…)."""
    chosen = torch.zeros(NUM_CLASSES, dtype=torch.bool, device=ids.device)
    chosen[list(of)] = True
    return chosen[ids.long()]


def centre(ids: Tensor, of: Part) -> tuple[float, float] | None:
    """The mean column and row of the part's pixels in a label map (H, W); None if it is hidden."""
    rows, columns = is_part(ids, of).nonzero().double().unbind(1)
    return (float(columns.mean()), float(rows.mean())) if len(rows) else None
