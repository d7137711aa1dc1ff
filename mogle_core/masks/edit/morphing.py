"""Interpolates between two label maps: each class's border moves by its signed distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..decode import MaskError
from ..decouple import Decoupled
from .classes import Area, Ids
from .distance import distance
from .fill import GROUND

Depth: TypeAlias = NDArray[np.float32]
"""How deep each pixel (H, W) lies in a class, in pixels; negative outside of it."""


def morph(first: Tensor, second: Tensor, count: int) -> Tensor:
    """`count` label maps (count, H, W) from the first (1, H, W) to the second (1, H, W), both included.

    In between, a pixel has the class in which it lies deepest, by the weighted mean of the two maps' signed
    distances. Features such as eyes come before the skin and other classes that they lie on. A class with the same
    number of patches in both maps moves from place to place. In other classes, a patch without a counterpart
    shrinks to its deepest pixel, or grows from it.

    Raises:
        MaskError: if the two are not single label maps of one size, or count is below 2.
    """
    _check(Decoupled(first).ids, Decoupled(second).ids, count)
    start, end = first[0].cpu().numpy(), second[0].cpu().numpy()
    courses = _courses(start, end) if count > 2 else []
    steps = [_between(courses, step / (count - 1)) for step in range(1, count - 1)]
    return torch.from_numpy(np.stack([start, *steps, end])).to(first.device)


def _check(first: Tensor, second: Tensor, count: int) -> None:
    if len(first) != 1 or len(second) != 1:
        raise MaskError(
            f"Morph Mask was given {len(first)} and {len(second)} masks, but goes from one to one: take one out "
            "of the batch before it."
        )
    if first.shape != second.shape:
        sizes = [f"{ids.shape[2]}x{ids.shape[1]}" for ids in (first, second)]
        raise MaskError(
            f"The first mask has {sizes[0]} pixels and the second {sizes[1]}: bring them to one size, by "
            "nearest neighbour."
        )
    if count < 2:
        raise MaskError(f"A count of {count} was asked for; both ends are counted, so choose 2 or more.")


@dataclass(frozen=True)
class Course:
    """The course of one class: its depths in both maps, and how many pixels down and right it moves between them."""

    id: int
    first: Depth
    second: Depth
    down: int
    right: int

    def depth(self, share: float) -> Depth:
        """The depth after this `share` of the course."""
        down, right = round(share * self.down), round(share * self.right)
        gone, to_go = (down, right), (down - self.down, right - self.right)
        near, far = _moved(self.first, *gone), _moved(self.second, *to_go)
        return np.asarray(np.float32(1 - share) * near + np.float32(share) * far)


def _between(courses: list[Course], share: float) -> Ids:
    """The class in which each pixel lies deepest; `share` is the weight of the second map."""
    deepest = np.full(courses[0].first.shape, -np.inf, np.float32)
    result = np.zeros(courses[0].first.shape, np.uint8)
    for course in courses:
        depth = course.depth(share)
        if course.id not in GROUND:
            # Between its two places, a small region is never as deep as the class that it moves over.
            depth[depth > 0] += sum(depth.shape)
        deeper = depth > deepest
        deepest[deeper], result[deeper] = depth[deeper], course.id
    return result


def _moved(depth: Depth, down: int, right: int) -> Depth:
    """The depths, moved; the depths at the picture's edge are repeated outwards."""
    if down == right == 0:
        return depth
    rows, columns = (np.arange(side) for side in depth.shape)
    row, column = (rows - down).clip(0, rows[-1]), (columns - right).clip(0, columns[-1])
    return np.asarray(depth[row[:, None], column])


def _courses(start: Ids, end: Ids) -> list[Course]:
    classes = np.union1d(start, end).tolist()
    travels = {c: _travel(start == c, end == c) for c in classes}
    settled = tuple(c for c, travel in travels.items() if travel is None)
    first = _depths(_with_seeds(start, end, settled), classes)
    second = _depths(_with_seeds(end, start, settled), classes)
    ways = zip(classes, first, second, strict=True)
    return [Course(c, near, far, *(travels[c] or (0, 0))) for c, near, far in ways]


def _travel(first: Area, second: Area) -> tuple[int, int] | None:
    """Pixels down and right from one area's middle to the other's; None if their numbers of patches differ."""
    if not first.any() or _patches(first)[1] != _patches(second)[1]:
        return None
    (top, left), (bottom, right) = (np.argwhere(area).mean(0) for area in (first, second))
    return round(bottom - top), round(right - left)


def _patches(area: Area) -> tuple[NDArray[np.int32], int]:
    """A number from 1 on for each connected patch (H, W), 0 elsewhere; and how many there are."""
    from scipy.ndimage import label

    numbers, count = label(area, np.ones((3, 3)))
    return numbers, count


def _with_seeds(ids: Ids, other: Ids, classes: tuple[int, ...]) -> Ids:
    """The map with one more pixel for each patch of the other map that does not overlap its class here."""
    from scipy.ndimage import maximum_position

    inner = distance(_border(other))
    result = np.array(ids)
    for c in classes:
        patches, count = _patches(other == c)
        lost = np.setdiff1d(np.arange(1, count + 1), patches[ids == c])
        for place in maximum_position(inner, patches, lost) if lost.size else ():
            result[tuple(place)] = c
    return result


def _border(ids: Ids) -> Area:
    """Pixels with a neighbour of another class, or at the picture's edge."""
    padded = np.pad(ids, 1, constant_values=255)
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.asarray(np.logical_or.reduce([ids != beside for beside in around]))


def _depths(ids: Ids, classes: list[int]) -> list[Depth]:
    """A depth for each of the classes. All pixels lie as far as possible outside of a class that the map lacks."""
    far = np.float32(math.hypot(*ids.shape))
    away = [distance(ids == c).astype(np.float32) if (ids == c).any() else None for c in classes]
    # Inside, a class's border is where the nearest other class begins.
    inside = np.full(ids.shape, far)
    for c, outside in zip(classes, away, strict=True):
        if outside is not None:
            np.minimum(inside, outside, out=inside, where=ids != c)
    depths = (-far if outside is None else -outside for outside in away)
    return [np.where(ids == c, inside, depth) for c, depth in zip(classes, depths, strict=True)]
