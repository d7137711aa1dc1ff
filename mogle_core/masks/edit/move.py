"""Moves, scales, rotates and mirrors regions: whole pixels only, so that classes are never mixed.

A region's centre is that of its bounding box, so that a half turn and a mirroring map pixels onto pixels. The gap
behind a region is filled; pixels that leave the picture are cut off. With `region` None the whole map moves about
the picture's centre, and its edge pixels are repeated outwards.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..decode import MaskError
from ..labels import FLIPPED
from .classes import Area, Ids
from .distance import bounds
from .fill import uncover

Places: TypeAlias = NDArray[np.int64]
"""The source row or column of each pixel of the result; broadcasts to (H, W)."""


def move(ids: Ids, region: int | None, dx: int, dy: int, locked: tuple[int, ...] = ()) -> Ids:
    """Move by dx pixels to the right and dy pixels down."""
    rows, columns = _grid(ids)
    return _from(ids, region, rows - dy, columns - dx, locked)


def scale(ids: Ids, region: int | None, percent: float, locked: tuple[int, ...] = ()) -> Ids:
    """Enlarge by `percent`, or shrink if it is negative: 100 doubles width and height, -50 halves them."""
    if percent <= -100:
        raise MaskError(f"The amount of scale is {percent:g} percent: choose more than -100, or remove.")
    rows, columns = _grid(ids)
    y, x = _centre(ids, region)
    factor = 1 + percent / 100
    return _from(ids, region, _whole(y + (rows - y) / factor), _whole(x + (columns - x) / factor), locked)


def rotate(ids: Ids, region: int | None, degrees: float, locked: tuple[int, ...] = ()) -> Ids:
    """Rotate by `degrees`, clockwise on the screen."""
    degrees = degrees % 360
    if degrees == 0:
        return ids
    rows, columns = _grid(ids)
    y, x = _centre(ids, region)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    down, right = rows - y, columns - x
    return _from(ids, region, _whole(y + cos * down - sin * right), _whole(x + sin * down + cos * right), locked)


def mirror(ids: Ids, region: int | None, locked: tuple[int, ...] = ()) -> Ids:
    """Flip the whole map and swap left and right classes, or flip a region in place."""
    if region is None:
        return np.asarray(np.array(FLIPPED, np.uint8)[ids[:, ::-1]])
    rows, columns = _grid(ids)
    _, _, left, right = bounds(ids == region)
    return _from(ids, region, rows, left + right - columns, locked)


def _grid(ids: Ids) -> tuple[Places, Places]:
    height, width = ids.shape
    return np.arange(height)[:, None], np.arange(width)[None]


def _centre(ids: Ids, region: int | None) -> tuple[float, float]:
    """Row and column of the middle of a region's bounding box, or of the picture."""
    top, bottom, left, right = bounds(np.ones_like(ids, bool) if region is None else ids == region)
    return (top + bottom) / 2, (left + right) / 2


def _whole(places: NDArray[np.floating[Any]]) -> Places:
    # A small tolerance, because sines and quotients miss a whole or half number by rounding.
    return np.asarray(np.floor(places + (0.5 + 1e-6)), np.int64)


def _from(ids: Ids, region: int | None, rows: Places, columns: Places, locked: tuple[int, ...]) -> Ids:
    """The map in which the region, or everything, is taken from these places."""
    height, width = ids.shape
    row, column = rows.clip(0, height - 1), columns.clip(0, width - 1)
    if region is None:
        return np.asarray(ids[row, column])
    arrived: Area = (ids[row, column] == region) & (row == rows) & (column == columns)
    left = (ids == region) & ~arrived
    result = uncover(ids, region, left, locked) if left.any() else ids
    return np.where(arrived, np.uint8(region), result)
