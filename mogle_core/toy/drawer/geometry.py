"""Curves, and the frame of a turned head: from face units to the unit square of the picture.

Face units: the half width of the face is 1, the origin lies between the eyes, v grows downwards. In the
unit square x grows to the right, y downwards, and (1, 1) is the picture's lower right corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Curve: TypeAlias = Floats
"""Points (N, 2)."""
Points: TypeAlias = Sequence[tuple[float, float]] | Curve


@lru_cache(maxsize=8)
def _catmull_rom(steps: int) -> Floats:
    """The weights (steps, 4) of four neighbouring knots for points between the second and the third."""
    t = (np.arange(steps) / steps)[:, None]
    powers = np.concatenate([np.ones_like(t), t, t**2, t**3], axis=1)
    basis = 0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])
    return np.asarray(powers @ basis)


def smooth(knots: Points, closed: bool = False, steps: int = 6) -> Curve:
    """A Catmull-Rom curve through the knots (N, 2), `steps` points from each knot to the next."""
    k = np.asarray(knots, dtype=float)
    if closed:
        padded = np.concatenate([k[-1:], k, k[:2]])
    else:
        padded = np.concatenate([2 * k[:1] - k[1:2], k, 2 * k[-1:] - k[-2:-1]])
    quads = padded[np.arange(len(padded) - 3)[:, None] + np.arange(4)]  # (segments, 4, 2)
    curve = (_catmull_rom(steps) @ quads).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, k[-1:]])


def resample(curve: Points, count: int) -> Curve:
    """`count` points at equal distances along the curve, ends included."""
    c = np.asarray(curve, dtype=float)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(c, axis=0).T))])
    at = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(at, along, c[:, 0]), np.interp(at, along, c[:, 1])], axis=1)


def normals(curve: Curve) -> Curve:
    """Unit normals (N, 2) of an open curve, to the left of its direction as the picture shows it."""
    step = curve[1:] - curve[:-1]
    tangent = np.concatenate([step[:1], step[1:] + step[:-1], step[-1:]])
    tangent /= np.maximum(np.hypot(tangent[:, :1], tangent[:, 1:]), 1e-9)
    return np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)


def ribbon(centre: Points, half_widths: float | Sequence[float]) -> Curve:
    """The outline of a brush stroke along `centre`; widths are spread evenly over its points."""
    c = np.asarray(centre, dtype=float)
    widths = np.atleast_1d(np.asarray(half_widths, dtype=float))
    at = np.arange(len(c)) * ((len(widths) - 1) / (len(c) - 1))
    side = normals(c) * np.interp(at, np.arange(len(widths)), widths)[:, None]
    return np.concatenate([c + side, (c - side)[::-1]])


@lru_cache(maxsize=8)
def _circle(count: int) -> Curve:
    angle = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ellipse(centre: tuple[float, float] | Floats, radii: tuple[float, float], count: int = 28) -> Curve:
    """`count` points of an upright ellipse."""
    return np.asarray(np.asarray(centre) + _circle(count) * np.asarray(radii))


def mirrored(half: Points) -> Curve:
    """A closed outline from its right half, listed from the top to the bottom, both on the axis u = 0."""
    h = np.asarray(half, dtype=float)
    return np.concatenate([h, (h * (-1, 1))[-2:0:-1]])


_PIVOT = (0.0, 1.2)  # the head tilts about the top of the neck, not about the eyes


@dataclass(frozen=True)
class HeadFrame:
    """Where a head is and how it is turned: `yaw` > 0 looks to the picture's right; angles in radians."""

    x: float
    y: float
    scale: float
    yaw: float
    roll: float

    def place(self, uv: Points) -> Curve:
        """Points fixed to the head's disc: tilted, scaled and moved, not turned."""
        p = np.asarray(uv, dtype=float)
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        turn = np.array([[cos, sin], [-sin, cos]]) * self.scale
        return np.asarray((p - _PIVOT) @ turn + (self.x, self.y + 1.2 * self.scale))

    def silhouette(self, uv: Points) -> Curve:
        """Points of the head's outline: a turned head pushes its chin forward and its crown back."""
        p = np.array(uv, dtype=float)
        p[:, 0] += 0.17 * math.sin(self.yaw) * np.clip(p[:, 1] / 1.5, -0.8, 1.0)
        return self.place(p)

    def feature(self, uv: Points, relief: float | Floats = 0.0) -> Curve:
        """Points on the rounded face: yaw moves them, the more the nearer they are (`relief` is added)."""
        p = np.array(uv, dtype=float)
        depth = 0.95 * np.sqrt(np.clip(1.0 - 0.8 * p[:, 0] ** 2, 0.0, 1.0)) + relief
        p[:, 0] = p[:, 0] * math.cos(self.yaw) + depth * math.sin(self.yaw)
        return self.place(p)

    def hairline(self, uv: Points) -> Curve:
        """Points where hair meets skin: they move like features on the forehead, not at the temples."""
        p = np.array(uv, dtype=float)
        sin = math.sin(self.yaw)
        depth = 0.8 * np.clip(1.0 - p[:, 0] ** 2, 0.0, 1.0)
        # On the far side it recedes behind the cheek, or it would cover the eye.
        p[:, 0] = p[:, 0] * math.cos(self.yaw) + depth * sin + 0.4 * sin * np.maximum(0, p[:, 0] * np.sign(sin))
        return self.place(p)
