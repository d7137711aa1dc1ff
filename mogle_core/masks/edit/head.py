"""Finds the head in a label map: the line of the eyes, the ears and the crown, to which accessories are fitted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..decode import MaskError
from ..labels import CLASSES
from .classes import Area, Ids, among, class_id, class_ids

Floats: TypeAlias = NDArray[np.floating[Any]]
Point: TypeAlias = tuple[float, float]

HEAD = class_ids("skin, nose, eye_g, l_eye, r_eye, l_brow, r_brow, hair, hat")
BROWS = class_ids("l_brow, r_brow")


@dataclass(frozen=True)
class EyeFrame:
    """Coordinates of a face: origin between the eyes, u along them to the picture's right, v downwards.

    x, y: the origin in pixels. unit: pixels of one unit, the distance of the eyes. roll: of the head,
    clockwise, in radians.
    """

    x: float
    y: float
    unit: float
    roll: float

    def grid(self, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        """u and v of every pixel of a picture (H, W)."""
        down = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(self.y)
        right = np.arange(shape[1], dtype=np.float32)[None] - np.float32(self.x)
        cos, sin = (np.float32(turn / self.unit) for turn in (math.cos(self.roll), math.sin(self.roll)))
        return right * cos + down * sin, down * cos - right * sin

    @property
    def thin(self) -> float:
        """Half the width of the thinnest line that has no gaps, in units."""
        return 0.71 / self.unit


def eye_frame(ids: Ids, thing: str) -> EyeFrame:
    """The frame of a map (H, W) with both eyes. Raises MaskError that names the `thing` if one is missing."""
    for eye in ("l_eye", "r_eye"):
        if not (ids == class_id(eye)).any():
            raise MaskError(
                f"The mask has no {CLASSES[class_id(eye)].title} ({eye}), which {thing} must be fitted to: paint "
                "it first, by Set Region or in the painter."
            )
    (ax, ay), (bx, by) = sorted(_middle(ids == class_id(eye)) for eye in ("l_eye", "r_eye"))
    unit = math.hypot(bx - ax, by - ay)
    if unit < 1:
        raise MaskError(f"The eyes of the mask are in one place, so {thing} cannot be fitted: paint them apart.")
    return EyeFrame((ax + bx) / 2, (ay + by) / 2, unit, math.atan2(by - ay, bx - ax))


@dataclass(frozen=True)
class Crown:
    """What a hat sits on, in a frame's units: the head's middle and half width at `line`, where its edge
    runs above the brows, `top`, the highest point, and the side to which the face looks, -1 or 1."""

    u: float
    half: float
    line: float
    top: float
    side: int


def crown(ids: Ids, u: Floats, v: Floats) -> Crown:
    """The crown of a map whose pixels have these coordinates. Raises MaskError without skin and hair."""
    if not among(ids, class_ids("skin, hair")).any():
        raise MaskError("The mask has no skin and no hair, so there is no head to put a hat on: paint them first.")
    brows = v[among(ids, BROWS)]
    line = -0.56 if brows.size == 0 else float(np.clip(brows.min() - 0.08, -0.75, -0.45))
    # Hair beside the neck is not part of the head, and far away there may be another person.
    head = among(ids, HEAD) & (abs(u) < 2.2) & (v < line + 0.1)
    across, up = u[head & (v > line - 0.35)], v[head]
    left, right = np.quantile(across, (0.005, 0.995)) if across.size else (-1.25, 1.25)
    top = float(np.quantile(up, 0.002)) if up.size else line - 1
    nose = u[ids == class_id("nose")]
    side = 1 if nose.size and float(nose.mean()) > 0 else -1
    return Crown(float(left + right) / 2, max(float(right - left) / 2, 0.9), line, min(top, line - 0.55), side)


def lobe(ear: Area, u: Floats, v: Floats) -> Point:
    """The lower end of a non-empty ear: (u, v)."""
    along = v[ear]
    low = float(along.max())
    at_end = along >= low - 0.12 * (low - float(along.min()))
    return float(u[ear][at_end].mean()), low


def _middle(area: Area) -> Point:
    rows, columns = np.nonzero(area)
    return float(columns.mean()), float(rows.mean())
