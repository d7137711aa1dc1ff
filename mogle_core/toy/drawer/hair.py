"""Shapes of hair and hats, as outlines in the unit square."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from .anatomy import Anatomy, Hair
from .geometry import Curve, HeadFrame, Points, ellipse, normals, resample, ribbon, smooth

SIDES = (-1, 1)
"""The picture's left, the picture's right."""


def _waved(curve: Curve, hair: Hair, amount: float = 1.0) -> Curve:
    """The curve with the texture's waves, which fade in from its first point on."""
    if not hair.waves:
        return curve
    fine = resample(curve, 96)
    length = float(np.hypot(*np.diff(fine, axis=0).T).sum())
    along = np.linspace(0, 1, 96)
    turn = hair.phase + 2 * np.pi * hair.waves * length * along
    # Waves swing both ways; curls are round bumps that meet in notches.
    swing = np.sin(turn) if hair.waves < 2 else 2 * np.abs(np.sin(turn / 2)) ** 0.8 - 1
    swing *= np.minimum(1, 4 * along)
    return fine + normals(fine) * (amount * hair.wave * swing)[:, None]


def _outer_knots(hair: Hair, length: str) -> list[tuple[float, float]]:
    """The outline of hair on the right half, crown to ends, in face units."""
    v = hair.volume
    crown = [(0.0, -1.38 - 0.9 * v), (0.52, -1.28 - 0.8 * v), (0.93 + 0.55 * v, -0.86 - 0.35 * v)]
    if length == "short":
        return [*crown, (1.04 + 0.75 * v, -0.28), (1.03 + 0.5 * v, 0.08), (0.97, hair.ends)]
    if length == "medium":
        return [
            *crown,
            (1.07 + 0.9 * v, -0.2),
            (1.10 + 1.1 * v, 0.5),
            (1.10 + 1.3 * v, hair.ends - 0.28),
            (0.98 + 0.9 * v, hair.ends),
        ]
    fall = hair.ends - 0.6
    return [
        *crown,
        (1.07 + 0.9 * v, -0.2),
        (1.12 + 1.1 * v, 0.6),
        (1.18 + 1.2 * v, 0.6 + 0.45 * fall),
        (1.22 + 1.3 * v, 0.6 + 0.8 * fall),
        (1.02 + 0.9 * v, hair.ends),
    ]


def _outer(hair: Hair, length: str, side: int) -> Curve:
    return np.asarray(_waved(smooth(_outer_knots(hair, length)), hair) * (side, 1))


def _fringe_knots(hair: Hair, side: int) -> list[tuple[float, float]]:
    """The hairline on one half, parting to temple, in face units with u as the picture has it."""
    p, s = hair.parting, float(side)
    if hair.fringe == "full":
        return [(0.0, -0.52), (s * 0.42, -0.50), (s * 0.76, -0.43), (s * 0.90, -0.26), (s * 0.93, -0.05)]
    if hair.fringe == "swept":
        return [(0.0, -0.98), (s * 0.36, -0.97), (s * 0.68, -0.80), (s * 0.85, -0.42), (s * 0.93, -0.08)]
    if hair.fringe == "centre":
        return [(0.0, -1.06), (s * 0.2, -0.98), (s * 0.55, -0.70), (s * 0.83, -0.32), (s * 0.92, -0.02)]
    if s * p > 0:
        return [(p, -1.04), (s * 0.64, -0.82), (s * 0.84, -0.46), (s * 0.93, -0.06)]
    return [(p, -1.04), (s * 0.05, -0.90), (s * 0.50, -0.64), (s * 0.82, -0.30), (s * 0.93, 0.0)]


def _fringe(hair: Hair, side: int) -> Curve:
    return _waved(smooth(_fringe_knots(hair, side)), hair, 0.45)


def _inner(hair: Hair, side: int) -> list[tuple[float, float]]:
    """The inner edge of loose hair beside the cheek, from the temple down, in face units."""
    low = min(hair.ends, 1.45)
    return [(side * 0.89, 0.25), (side * 0.87, 0.75 * low), (side * 0.98, low - 0.04)]


def _front_half(frame: HeadFrame, hair: Hair, length: str, side: int) -> tuple[Curve, Curve]:
    """Outer and inner edge of the hair before one half of the face, both from the top down."""
    tucked = hair.tucked[side > 0]
    outer = _outer(hair, length, side)
    drop = -0.32 if tucked else min(hair.ends, 1.45)
    outer = outer[outer[:, 1] <= drop]
    fringe = frame.hairline(_fringe(hair, side))
    if tucked:
        sideburn = [(side * 1.0, -0.12), (side * 0.955, 0.16 if length == "short" else 0.06)]
        return np.concatenate([frame.silhouette(outer), frame.silhouette(sideburn)]), fringe
    cheek = smooth([_fringe_knots(hair, side)[-1], *_inner(hair, side)])
    return frame.silhouette(outer), np.concatenate([fringe[:-1], frame.hairline(cheek)])


def front(anatomy: Anatomy, length: str) -> Curve:
    """The hair on top of the head and beside the face."""
    left, right = (_front_half(anatomy.head, anatomy.hair, length, side) for side in SIDES)
    return np.concatenate([left[0][::-1], right[0][1:], right[1][::-1], left[1][1:]])


def back(anatomy: Anatomy, length: str) -> Curve:
    """The hair behind head and neck."""
    left, right = (anatomy.head.silhouette(_outer(anatomy.hair, length, side)) for side in SIDES)
    low = anatomy.hair.ends
    tips = [(0.86, low + 0.07), (0.5, low + 0.10), (-0.5, low + 0.10), (-0.86, low + 0.07)]
    return np.concatenate([left[::-1], right[1:], anatomy.head.silhouette(tips)])


def locks(anatomy: Anatomy, length: str) -> tuple[Curve, ...]:
    """Long hair that falls in front of a shoulder, at most one outline a side."""
    hair, frame = anatomy.hair, anatomy.head
    if length != "long":
        return ()
    return tuple(_lock(frame, hair, side) for side in SIDES if hair.in_front[side > 0])


def _lock(frame: HeadFrame, hair: Hair, side: int) -> Curve:
    outer = _outer(hair, "long", side)
    outer = outer[outer[:, 1] > 0.3]
    inner = [
        (0.85, 0.3),
        (0.70, 1.1),
        (0.66, 0.55 * hair.ends + 0.5),
        (0.78, hair.ends - 0.25),
        (0.95, hair.ends),
    ]
    edge = _waved(smooth(inner), hair) * (side, 1)
    return frame.silhouette(np.concatenate([outer, edge[::-1]]))


def strands(anatomy: Anatomy, length: str, count: int) -> list[Curve]:
    """Curves along which the hair flows, `count` a side, from the parting outwards."""
    return [s for side in SIDES for s in flow(anatomy, length, side, count)]


def flow(anatomy: Anatomy, length: str, side: int, count: int) -> list[Curve]:
    """Blends between the outer outline and the inner edge of one half: they never cross."""
    hair, frame = anatomy.hair, anatomy.head
    crown = (hair.parting * 0.6, -1.40 - 0.9 * hair.volume)
    outer = frame.silhouette(np.concatenate([[crown], _outer(hair, length, side)[4:]]))
    fall = [(side * 0.88, 0.2), (side * 0.78, 0.95), (side * 0.68, hair.ends)]
    inner = np.concatenate([frame.hairline(_fringe(hair, side)), frame.silhouette(fall)])
    if hair.fringe in ("full", "swept"):
        over = frame.silhouette(smooth([crown, (side * 0.66, -0.98), (side * 0.93, -0.1), *fall]))
        return _fan(frame, hair, side, count) + _between(outer, over, count)
    return _between(outer, inner, count)


def _between(outer: Curve, inner: Curve, count: int) -> list[Curve]:
    a, b = resample(outer, 24), resample(inner, 24)
    steps = np.arange(count)
    return [a + (b - a) * t for t in (steps + 0.5 + 0.3 * np.sin(2.4 * steps)) / count]  # never quite even


def _fan(frame: HeadFrame, hair: Hair, side: int, count: int) -> list[Curve]:
    """Strands from the crown to each point of the hairline, bulging forwards."""
    tips = resample(frame.hairline(_fringe(hair, side)), count + 1)[:-1]
    crown = frame.silhouette([(side * 0.1, -1.36 - 0.9 * hair.volume)])[0]
    bend = (crown + tips) / 2 + (tips - crown) * (0.22, -0.06)
    return [smooth([crown, middle, tip]) for middle, tip in zip(bend, tips, strict=True)]


def _dome(hair: Hair, brim: float, height: float, wide: float = 0.0) -> list[tuple[float, float]]:
    """A crown over the skull from brim to brim, in face units."""
    w, v = 1.05 + 0.75 * hair.volume + wide, hair.volume
    top = -1.46 - 0.9 * v - height
    half = [(0.55 * w, top + 0.12), (0.92 * w, -1.02 - 0.6 * height - 0.35 * v), (w, brim)]
    return [(-x, y) for x, y in reversed(half)] + [(0.0, top)] + half


Pieces: TypeAlias = tuple[tuple[str, Curve], ...]


def hat(anatomy: Anatomy, kind: str) -> Pieces:
    """The pieces of a hat from back to front, each with what it is; the last lies over the forehead."""
    return {"beanie": _beanie, "hat": _brimmed, "cap": _cap, "beret": _beret}[kind](anatomy)


def _arc(width: float, ends: float, middle: float) -> Points:
    return [(-width, ends), (-0.6 * width, 0.35 * ends + 0.65 * middle), (0.0, middle),
            (0.6 * width, 0.35 * ends + 0.65 * middle), (width, ends)]  # fmt: skip


def _beanie(anatomy: Anatomy) -> Pieces:
    frame, hair = anatomy.head, anatomy.hair
    width = 1.07 + 0.75 * hair.volume
    dome = frame.silhouette(smooth(_dome(hair, -0.6, 0.06)))
    cuff = frame.silhouette(ribbon(smooth(_arc(width, -0.56, -0.68)), 0.17))
    bobble = frame.silhouette(ellipse((0.0, -1.68 - 0.9 * hair.volume), (0.24, 0.22)))
    pieces = (("knit", dome), ("cuff", cuff))
    return (("bobble", bobble), *pieces) if anatomy.body.hat_tilt > 0 else pieces


def _brimmed(anatomy: Anatomy) -> Pieces:
    frame, hair = anatomy.head, anatomy.hair
    dome = frame.silhouette(smooth(_dome(hair, -0.72, 0.08)))
    band = frame.silhouette(ribbon(smooth(_arc(1.05 + 0.75 * hair.volume, -0.84, -0.80)), 0.13))
    lift = 0.10 * anatomy.body.hat_tilt
    rim = smooth([(-1.75, -0.78 - lift), (-0.9, -0.88), (0.9, -0.88), (1.75, -0.78 + lift),
                  (0.95, -0.56), (0.0, -0.50), (-0.95, -0.56)], closed=True)  # fmt: skip
    return (("crown", dome), ("band", band), ("brim", frame.silhouette(rim)))


def _cap(anatomy: Anatomy) -> Pieces:
    frame, hair = anatomy.head, anatomy.hair
    dome = frame.silhouette(smooth([*_dome(hair, -0.46, 0.0), (0.5, -0.62), (0.0, -0.66), (-0.5, -0.62)], True))
    visor = smooth([(-0.88, -0.60), (-0.45, -0.82), (0.45, -0.82), (0.88, -0.60), (0.80, -0.42),
                    (0.4, -0.40), (0.0, -0.38), (-0.4, -0.40), (-0.80, -0.42)], closed=True)  # fmt: skip
    return (("panels", dome), ("visor", frame.feature(visor * (0.98, 1), 0.12)))


def _beret(anatomy: Anatomy) -> Pieces:
    frame, hair, side = anatomy.head, anatomy.hair, 1.0 if anatomy.body.hat_tilt > 0 else -1.0
    width = 1.06 + 0.75 * hair.volume
    top = -1.56 - 0.85 * hair.volume
    near = [(-width, -0.72), (-1.08 * width, -1.10), (-0.7, top + 0.04), (0.1, top - 0.10)]
    far = [(0.9, top), (1.42 * width, -1.08), (1.28 * width, -0.66), (width, -0.58), (0.0, -0.74)]
    puff = smooth([*near, *far], closed=True)
    band = ribbon(smooth(_arc(width, -0.64, -0.74)), 0.075)
    return (("puff", frame.silhouette(puff * (side, 1))), ("band", frame.silhouette(band)))
