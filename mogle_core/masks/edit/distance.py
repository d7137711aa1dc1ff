"""Exact Euclidean distances between pixel centres, computed only where they are needed."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .classes import Area, Ids

Box: TypeAlias = tuple[slice, slice]
"""Rows and columns of a part of the picture."""


def bounds(area: Area) -> tuple[int, int, int, int]:
    """The first and last row and column of a non-empty area."""
    rows, columns = np.flatnonzero(area.any(1)), np.flatnonzero(area.any(0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def around(area: Area, margin: float) -> Box:
    """The bounding box of a non-empty area, extended by at least `margin` pixels on each side."""
    top, bottom, left, right = bounds(area)
    # No two pixels of a picture are farther apart than its sides together.
    more = math.ceil(min(margin, sum(area.shape)))
    return slice(max(top - more, 0), bottom + more + 1), slice(max(left - more, 0), right + more + 1)


def distance(sources: Area) -> NDArray[np.float64]:
    """The distance from every pixel to the nearest of the non-empty `sources`: (H, W) in pixels, 0 on the sources."""
    # Imported here because only editing needs scipy, and importing it takes longer than a small edit.
    from scipy.ndimage import distance_transform_edt

    distances: NDArray[np.float64] = distance_transform_edt(~sources)
    return distances


def spread(ids: Ids, holes: Area, sources: Area) -> Ids:
    """The map in which each of `holes` has the class of the nearest of `sources`, which must not be empty."""
    from scipy.ndimage import distance_transform_edt

    if not holes.any():
        return ids
    margin = 16
    while True:
        # A source outside this box is farther from every hole than the margin.
        box = around(holes, margin)
        if sources[box].any():
            away, nearest = distance_transform_edt(~sources[box], return_indices=True)
            if sources[box].shape == ids.shape or away[holes[box]].max() <= margin:
                break
        margin *= 4
    result = np.array(ids)
    result[holes] = ids[box][tuple(nearest)][holes[box]]
    return result
