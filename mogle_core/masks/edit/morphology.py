"""Moves borders by pixels: grow, shrink, and smooth by majority."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..decode import MaskError
from .classes import Area, Ids, among
from .distance import around, distance, spread
from .fill import behind


def grow(ids: Ids, region: int, radius: float, locked: tuple[int, ...] = ()) -> Ids:
    """Every unlocked pixel within `radius` of the region joins it."""
    inside = ids == region
    box = around(inside, _radius(radius, "grow", "shrink"))
    result = np.array(ids)
    joins = (distance(inside[box]) <= radius) & ~among(ids[box], locked)
    result[box][joins] = region
    return result


def shrink(ids: Ids, region: int, radius: float, locked: tuple[int, ...] = ()) -> Ids:
    """Every pixel of the region within `radius` of a class behind it takes the nearest such class.

    Regions that lie on it, such as the eyes on the skin, do not push it back. Neither do locked classes and the
    picture's edge.
    """
    inside = ids == region
    box = around(inside, _radius(radius, "shrink", "grow"))
    sources = behind(ids, region, locked)[box]
    if not sources.any():
        return ids
    result = np.array(ids)
    result[box] = spread(ids[box], inside[box] & (distance(sources) <= radius), sources)
    return result


def smooth(ids: Ids, region: int | None, radius: float) -> Ids:
    """Each pixel takes the class that most pixels of the square around it have, `radius` to each side.

    It keeps its class unless another one has more. With a region, only pixels that join or leave it change.
    """
    side = math.floor(_radius(radius, "smooth"))
    if side == 0:
        return ids
    present = np.unique(ids).tolist()
    counts = {c: _window_sums(ids == c, side) for c in present}
    most, result = np.zeros(ids.shape, np.int32), np.array(ids)
    for c in present:
        np.copyto(most, counts[c], where=ids == c)
    for c in present:
        more = counts[c] > most
        most[more], result[more] = counts[c][more], c
    if region is None:
        return result
    return np.where((ids == region) | (result == region), result, ids)


def _radius(pixels: float, operation: str, opposite: str = "") -> float:
    if pixels >= 0:
        return pixels
    instead = f", or {opposite}" if opposite else ""
    raise MaskError(f"The amount of {operation} is {pixels:g} pixels: choose 0 or more{instead}.")


def _window_sums(area: Area, side: int) -> NDArray[np.int32]:
    """How many pixels of the area lie in the square around each pixel; the square is cut at the picture's edge."""
    return np.transpose(_sums_of_rows(np.transpose(_sums_of_rows(area, side)), side))


def _sums_of_rows(counts: NDArray[np.int32] | Area, side: int) -> NDArray[np.int32]:
    width = counts.shape[1]
    total = np.zeros((len(counts), width + 1), np.int32)
    np.cumsum(counts, 1, np.int32, total[:, 1:])
    column = np.arange(width)
    return np.asarray(total[:, np.minimum(column + side + 1, width)] - total[:, np.maximum(column - side, 0)])
