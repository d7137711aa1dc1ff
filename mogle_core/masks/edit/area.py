"""Sets a region to an area from another node or a painted MASK."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..decode import MaskError
from ..decouple import Decoupled, resize
from .classes import Area, Ids, among, check_unlocked, class_id, class_ids
from .fill import uncover


def set_region(ids: Tensor, region: str, area: Tensor, *, keep: bool = True, locked: str = "") -> Tensor:
    """The label maps (B, H, W) with the region also where `area` (B, H, W) or (H, W) is 0.5 or more.

    An area of another size is resized to the maps', by nearest neighbour. One area can apply to all maps, and one map
    to all areas. Without `keep`, the region is removed outside of the area and the classes behind it fill the gap.
    Locked classes, in a comma-separated list, neither lose nor gain a pixel.

    Raises:
        MaskError: for ids that are not label maps, an area of another form or number, an unknown class, or a
            region that is locked.
    """
    target, protected_ids = class_id(region), class_ids(locked)
    check_unlocked([target], protected_ids)
    maps, areas = Decoupled(ids).ids, _fitted(area, ids)
    count = max(len(maps), len(areas))
    numbered, painted = (t.cpu().expand(count, -1, -1).numpy() for t in (maps, areas))
    results = [_set(*pair, target, keep, protected_ids) for pair in zip(numbered, painted, strict=True)]
    return torch.from_numpy(np.stack(results)).to(ids.device)


def _fitted(area: Tensor, ids: Tensor) -> Tensor:
    areas = area[None] if area.ndim == 2 else area
    if areas.ndim != 3 or areas.numel() == 0:
        raise MaskError(f"The area has shape {tuple(area.shape)}; expected a MASK, (batch, height, width).")
    if len(areas) != len(ids) and 1 not in (len(areas), len(ids)):
        raise MaskError(f"{len(ids)} masks and {len(areas)} areas were given: connect one for all, or as many of each.")
    return resize(areas >= 0.5, ids.shape[1], ids.shape[2])


def _set(ids: Ids, area: Area, region: int, keep: bool, locked: tuple[int, ...]) -> Ids:
    left = (ids == region) & ~area
    rest = ids if keep or not left.any() else uncover(ids, region, left, locked)
    return np.where(area & ~among(ids, locked), np.uint8(region), rest)
