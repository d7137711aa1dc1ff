"""Takes a part from another face: hair, hat, glasses, eyes or mouth, fitted by the line of the eyes and the head.

The donor is seen in the coordinates of its own eyes (`EyeFrame`), so that the part has the size, place and tilt of
the face that receives it. Hair and hats also follow the width of the head, a mouth the place and width of the mouth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ..decode import MaskError
from .accessories import UNDER_GLASSES, UNDER_HAT
from .classes import Area, Ids, among, class_id, class_ids, protected
from .fill import uncover
from .head import EyeFrame, Floats, crown, eye_frame

MOUTH = class_ids("u_lip, mouth, l_lip")


@dataclass(frozen=True)
class Part:
    """classes: what it consists of. under: the classes that it may cover."""

    classes: tuple[int, ...]
    under: tuple[int, ...]


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "hair": Part(class_ids("hair"), class_ids("background, skin, l_ear, r_ear, neck, cloth, ear_r, neck_l")),
        "hat": Part(class_ids("hat"), UNDER_HAT),
        "glasses": Part(class_ids("eye_g"), UNDER_GLASSES),
        "eyes": Part(class_ids("l_eye, r_eye"), class_ids("skin, nose, eye_g")),
        "mouth": Part(MOUTH, class_ids("skin, nose")),
    }
)


def transplant(ids: Ids, donor: Ids, part: str, locked: tuple[int, ...] = ()) -> Ids:
    """The map (H, W) with a part of the donor (h, w) in place of its own.

    Locked classes neither lose nor gain a pixel.

    Raises:
        MaskError: for an unknown part, a donor without it, and a map or donor without both eyes.
    """
    if part not in PARTS:
        raise MaskError(f"There is no part {part!r}; there are {', '.join(PARTS)}.")
    classes, under = PARTS[part].classes, PARTS[part].under
    if not among(donor, classes).any():
        raise MaskError(f"The face to take from has no {part}: choose another.")
    seen = _fitted(ids, donor, part)
    bare = ids
    for region in classes:
        bare = uncover(bare, region, bare == region)
    # Where the old part was, the new one may be, whatever lies behind.
    covers = among(seen, classes) & (among(bare, under) | among(ids, classes))
    return protected(ids, np.where(covers, seen, bare), locked)


def _fitted(ids: Ids, donor: Ids, part: str) -> Ids:
    """The donor as seen from each pixel of the map (H, W)."""
    here, there = eye_frame(ids, f"a part ({part})"), eye_frame(donor, f"a part ({part})")
    u, v = here.grid(ids.shape)
    if part in ("hair", "hat"):
        u = _across_head(ids, donor, u, v, there)
    if part == "mouth":
        u, v = _at_mouth(ids, donor, u, v, there)
    return _sampled(donor, there, u, v)


def _across_head(ids: Ids, donor: Ids, u: Floats, v: Floats, there: EyeFrame) -> Floats:
    """u in the donor's frame, so that the heads are equally wide."""
    own, other = crown(ids, u, v), crown(donor, *there.grid(donor.shape))
    return np.asarray(other.u + (u - own.u) * (other.half / own.half))


def _at_mouth(ids: Ids, donor: Ids, u: Floats, v: Floats, there: EyeFrame) -> tuple[Floats, Floats]:
    """u and v in the donor's frame, so that the mouths are in one place and equally wide, if there are two."""
    mouth = among(ids, MOUTH)
    if not mouth.any():
        return u, v
    (x, y, width), (dx, dy, dwidth) = _extent(mouth, u, v), _extent(among(donor, MOUTH), *there.grid(donor.shape))
    factor = dwidth / max(width, 1e-3)
    return np.asarray(dx + (u - x) * factor), np.asarray(dy + (v - y) * factor)


def _extent(area: Area, u: Floats, v: Floats) -> tuple[float, float, float]:
    """The middle of a non-empty area, and its width, in the frame's units."""
    across, down = u[area], v[area]
    left, right = float(across.min()), float(across.max())
    return (left + right) / 2, float(down.min() + down.max()) / 2, right - left


def _sampled(donor: Ids, frame: EyeFrame, u: Floats, v: Floats) -> Ids:
    """The donor's classes at these coordinates; background outside of it."""
    cos, sin = np.cos(frame.roll) * frame.unit, np.sin(frame.roll) * frame.unit
    columns = np.floor(frame.x + u * cos - v * sin + 0.5).astype(np.int64)
    rows = np.floor(frame.y + u * sin + v * cos + 0.5).astype(np.int64)
    height, width = donor.shape
    inside = (rows >= 0) & (columns >= 0) & (rows < height) & (columns < width)
    seen = donor[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return np.asarray(np.where(inside, seen, np.uint8(class_id("background"))))
