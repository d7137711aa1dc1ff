"""The parts of a face, each as the classes that it is made of, and where a part lies in a label map."""

from __future__ import annotations

import torch
from torch import Tensor

from .labels import IDS, NUM_CLASSES

Part = tuple[int, ...]
"""Class ids; the parts of a face that have a left and a right are of two classes."""


def part(*names: str) -> Part:
    """The part that these classes make."""
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
    """The mean column and row of the part's pixels in a label map (H, W); None where it is not seen."""
    rows, columns = is_part(ids, of).nonzero().double().unbind(1)
    return (float(columns.mean()), float(rows.mean())) if len(rows) else None
