"""Hats, glasses and earrings: shapes in the head's own units, so that they fit at every size and tilt.

Each covers only the classes that it would lie on: eyes and brows show through glasses, as in CelebAMask-HQ, and
hats and earrings never cover a feature of the face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ..decode import MaskError
from .classes import Area, Ids, among, class_id, class_ids
from .head import EyeFrame, Floats, crown, eye_frame, lobe

UNDER_HAT = class_ids("background, skin, l_ear, r_ear, hair")
UNDER_GLASSES = class_ids("background, skin, nose")
UNDER_EARRINGS = class_ids("background, skin, l_ear, r_ear, hair, neck, cloth")

EAR_HEIGHT = 0.72
"""The height of a whole ear from the front, in distances of the eyes."""


def add_hat(ids: Ids, style: str) -> Ids:
    """A hat on the head of a map (H, W), its edge above the brows. Raises MaskError without eyes or head."""
    u, v = eye_frame(ids, "a hat").grid(ids.shape)
    head = crown(ids, u, v)
    # x: from the head's middle, its half width being 1. y: from the hat's edge up, the head's top being 1.
    x, y = (u - head.u) / head.half, (head.line - v) / (head.line - head.top)
    tucked_in = (ids == class_id("hair")) & (y > 0.15) & (abs(x) < 1.3)
    return _worn(ids, HATS[style](head.side * x, y) | tucked_in, "hat", UNDER_HAT)


def add_glasses(ids: Ids, style: str) -> Ids:
    """Glasses before the eyes of a map (H, W). Raises MaskError if an eye is missing."""
    frame = eye_frame(ids, "glasses")
    u, v = frame.grid(ids.shape)
    half_width, half_height, power = LENSES[style]
    across = abs(u)  # both sides at once: a lens stands at u = 0.5
    lens = _rounded((across - 0.5) / half_width, (v - 0.03) / half_height, power)
    bridge = _line(v + 0.05 - 0.5 * u**2, 0.045, frame) & (across < 0.52 - half_width)
    arm = _line(v + 0.04, 0.025, frame) & (across > 0.48 + half_width) & (across < 1.6)
    on_skin = ids == class_id("skin")
    return _worn(ids, lens | bridge | (arm & on_skin), "eye_g", UNDER_GLASSES)


def add_earrings(ids: Ids, style: str) -> Ids:
    """An earring at the lower end of each ear in a map (H, W). Raises MaskError if there are no ears.

    Their size follows the distance of the eyes, or the ears' height where an eye is hidden.
    """
    ears = [ids == ear for ear in class_ids("l_ear, r_ear") if (ids == ear).any()]
    if not ears:
        raise MaskError(
            "The mask has no left ear (l_ear) and no right ear (r_ear), so there is nothing to hang earrings on: "
            "paint one first, by Set Region or in the painter."
        )
    frame = _frame_of_ears(ids, ears)
    u, v = frame.grid(ids.shape)
    worn = np.zeros(ids.shape, bool)
    for ear in ears:
        end_u, end_v = lobe(ear, u, v)
        worn |= EARRINGS[style](u - np.float32(end_u), v - np.float32(end_v), frame.thin)
    return _worn(ids, worn, "ear_r", UNDER_EARRINGS)


def _frame_of_ears(ids: Ids, ears: list[Area]) -> EyeFrame:
    try:
        return eye_frame(ids, "earrings")
    except MaskError:
        height = max(int(np.ptp(np.nonzero(ear)[0])) + 1 for ear in ears)
        return EyeFrame(0, 0, height / EAR_HEIGHT, 0)


def _worn(ids: Ids, shape: Area, name: str, under: tuple[int, ...]) -> Ids:
    return np.where(shape & among(ids, under), np.uint8(class_id(name)), ids)


def _rounded(x: Floats, y: Floats, power: float) -> Area:
    """The inside of a superellipse of radius 1: a circle at power 2, squarer above."""
    return np.asarray(abs(x) ** power + abs(y) ** power <= 1)


def _line(offset: Floats, half_width: float, frame: EyeFrame) -> Area:
    """The points within half_width of offset 0, at least one pixel wide."""
    return np.asarray(abs(offset) <= max(half_width, frame.thin))


def _beanie(x: Floats, y: Floats) -> Area:
    edge = 0.12 * (1 - x**2)
    cuff = _rounded(x / 1.1, (y - edge - 0.16) / 0.17, 6)
    dome = _rounded(x / 1.04, y / 1.1, 2.5) & (y > edge)
    return cuff | dome | _rounded(x / 0.2, (y - 1.16) / 0.2, 2)


def _brim(x: Floats, y: Floats) -> Area:
    body = _rounded(x / 1.02, y / 1.24, 3.2) & (y > 0.1)
    return body | _rounded(x / 1.75, (y - 0.17 + 0.05 * x**2) / 0.16, 2)


def _cap(x: Floats, y: Floats) -> Area:
    """x increases towards the visor."""
    panels = _rounded(x / 1.05, y / 1.09, 2.4) & (y > 0.06)
    visor = _rounded((x - 0.75) / 0.95, (y - 0.08 + 0.1 * (x - 0.3)) / 0.15, 2.2)
    return panels | visor | _rounded(x / 0.1, (y - 1.08) / 0.05, 2)


def _stud(u: Floats, v: Floats, thin: float) -> Area:
    radius = max(0.09, thin)
    return _rounded(u / radius, (v - 0.02) / radius, 2)


def _drop(u: Floats, v: Floats, thin: float) -> Area:
    """A small hook and a drop, pointed at its upper end."""
    hook = (abs(u) <= max(0.02, thin)) & (abs(v - 0.05) <= 0.1)
    along = np.clip((v - 0.1) / 0.34, 0, 1)
    half = 0.11 * np.sqrt(along * (1 - along) * 4) * (0.45 + 0.75 * along)
    return np.asarray(hook | ((abs(u) <= half) & (along > 0) & (along < 1)))


def _hoop(u: Floats, v: Floats, thin: float) -> Area:
    width, height, line = 0.16, 0.2, max(0.03, thin)
    return _rounded(u / (width + line), (v - 0.18) / (height + line), 2) & ~_rounded(
        u / (width - line), (v - 0.18) / (height - line), 2
    )


HATS: Mapping[str, Callable[[Floats, Floats], Area]] = MappingProxyType({"beanie": _beanie, "brim": _brim, "cap": _cap})
LENSES: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"round": (0.34, 0.34, 2.0), "square": (0.37, 0.28, 4.5)}
)
"""Half width and half height of a lens, in distances of the eyes, and how square it is."""
EARRINGS: Mapping[str, Callable[[Floats, Floats, float], Area]] = MappingProxyType(
    {"stud": _stud, "drop": _drop, "hoop": _hoop}
)
