"""Splits classes that some label spaces merge: left and right by position, and upper and lower lip.

The subject's left is on the picture's right. The order of a pair's two classes, or of two pieces of the one
class for both, decides their sides; this also holds for a turned head. A single piece takes its side of the face's
middle, and a piece that reaches far over the middle is cut there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .labels import CLASSES, PAIRS

_IDS = {c.name: c.id for c in CLASSES}
_MIDDLE = ("nose", "mouth", "u_lip", "l_lip")
_U_LIP, _L_LIP = _IDS["u_lip"], _IDS["l_lip"]

_APART = 0.15
"""How far apart two groups of pieces must be, over the square root of the face's area, to be the two of a pair."""

_OVER = 0.25
"""The share of a single piece on either side of the middle from which it counts as both parts in one."""


def split_lips(ids: Tensor) -> Tensor:
    """The map (B, H, W) in which each column's lip pixels are upper lip above their middle, lower lip below it."""
    split = ids.cpu().numpy().copy()
    for face in split:
        lips = (face == _U_LIP) | (face == _L_LIP)
        rows = np.arange(len(face))[:, None]
        top = np.where(lips, rows, len(face)).min(0)
        bottom = np.where(lips, rows, -1).max(0)
        face[lips & (2 * rows > top + bottom)] = _L_LIP
        face[lips & (2 * rows <= top + bottom)] = _U_LIP
    return torch.from_numpy(split).to(ids.device)


def split_sides(ids: Tensor, pairs: Sequence[tuple[int, int]] = PAIRS) -> Tensor:
    """The map (B, H, W) with these (left, right) classes assigned by position."""
    split = ids.cpu().numpy().copy()
    for face in split:
        middle = _middle(face)
        for left, right in pairs:
            one, other = face == left, face == right
            if one.any() and other.any():
                if np.nonzero(one)[1].mean() < np.nonzero(other)[1].mean():
                    face[one], face[other] = right, left
            elif (part := one | other).any():
                face[part] = np.where(_on_right(part, middle, np.sqrt((face > 0).sum()))[part], left, right)
    return torch.from_numpy(split).to(ids.device)


def _middle(face: NDArray[np.uint8]) -> float:
    """The column of the face's middle: of nose and mouth, or of the skin, or of everything drawn."""
    for part in (np.isin(face, [_IDS[name] for name in _MIDDLE]), face == _IDS["skin"], face > 0):
        if part.any():
            return float(np.mean(np.nonzero(part)[1]))
    return float(face.shape[1] / 2)


def _on_right(part: NDArray[np.bool_], middle: float, size: float) -> NDArray[np.bool_]:
    """(H, W): which of the part's pixels belong to the piece on the picture's right."""
    # Imported here because scipy takes long to import and only some label spaces need it.
    from scipy.ndimage import center_of_mass, label

    pieces, count = label(part, np.ones((3, 3)))
    columns = np.arange(part.shape[1])
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = [number for number in range(1, count + 1) if sizes[number - 1] >= sizes.max() / 5]
    order = sorted(float(place[1]) for place in center_of_mass(part, pieces, large))
    gaps = [after - before for before, after in zip(order, order[1:], strict=False)]
    if gaps and max(gaps) >= _APART * size:
        widest = gaps.index(max(gaps))
        return np.broadcast_to(columns > (order[widest] + order[widest + 1]) / 2, part.shape)
    across = np.nonzero(part)[1]
    if _OVER <= (across > middle).mean() <= 1 - _OVER:
        return np.broadcast_to(columns > middle, part.shape)
    return np.full(part.shape, across.mean() > middle)
