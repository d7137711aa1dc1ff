"""Changes classes only: one for another, or left for right. Pixels stay in place."""

from __future__ import annotations

import numpy as np

from ..decode import MaskError
from ..labels import CLASS_NAMES, FLIPPED
from .classes import Ids


def replace(ids: Ids, region: int, replacement: int) -> Ids:
    """The region's pixels become another class."""
    return np.where(ids == region, np.uint8(replacement), ids)


def swap_sides(ids: Ids, region: int | None) -> Ids:
    """Left becomes right and right left: for all eyes, brows and ears, or for the pair of one region.

    Raises MaskError for a region without sides.
    """
    table = np.arange(len(FLIPPED), dtype=np.uint8)
    if region is None:
        table[:] = FLIPPED
    elif FLIPPED[region] == region:
        sided = ", ".join(name for c, name in enumerate(CLASS_NAMES) if FLIPPED[c] != c)
        raise MaskError(f"{CLASS_NAMES[region]} has no left and right to swap: choose all, or one of {sided}.")
    else:
        table[[region, FLIPPED[region]]] = FLIPPED[region], region
    return np.asarray(table[ids])
