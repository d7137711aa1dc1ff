"""Curves of eyes, brows, nose, mouth and glasses, in face units, before the head is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import Features
from .geometry import Curve, mirrored, smooth


def face_outline(f: Features) -> Curve:
    """The closed outline of skull and face, in face units."""
    jaw = [(f.jaw + 0.13, 0.62), (f.jaw - 0.03, 1.02), (f.chin_width, f.chin - 0.12), (0.16, f.chin)]
    half = [(0.0, -1.32), (0.55, -1.2), (0.92, -0.72), (1.0, -0.1), (0.98, 0.25), *jaw, (0.0, f.chin + 0.005)]
    return smooth(mirrored(half), closed=True)


def lids(f: Features, side: int) -> tuple[Curve, Curve]:
    """Upper and lower edge of one eye from the inner to the outer corner, in face units."""
    s = np.linspace(-1, 1, 13)
    slant = -f.eye_tilt * s
    u = side * (f.eye_distance + f.eye_width * s)
    upper = slant - f.eye_height * (1 - s**2) ** 0.72
    lower = slant + 0.62 * f.eye_height * (1 - s**2) ** 0.85
    return np.stack([u, upper], axis=1), np.stack([u, lower], axis=1)


def brow_line(f: Features, side: int) -> Curve:
    """The middle of one brow from the nose outwards, in face units."""
    low = -f.brow_height
    arch = f.brow_arch
    knots = [(0.19, low + 0.025), (0.36, low - 0.4 * arch), (0.56, low - 0.75 * arch), (0.74, low + 0.04)]
    return np.asarray(smooth(knots) * (side, 1))


def nose_outline(f: Features) -> Curve:
    """Bridge, wings and tip, in face units."""
    n, w = f.nose_length, f.nose_width
    bridge = [(0.0, -0.06), (0.085, -0.04), (0.10, 0.22), (0.6 * w, n - 0.24)]
    wing = [(w, n - 0.06), (0.92 * w, n + 0.05), (0.45 * w, n + 0.09), (0.0, n + 0.12)]
    return smooth(mirrored([*bridge, *wing]), closed=True)


def nose_relief(outline: Curve, f: Features) -> Curve:
    """How far each point of the nose stands out from the face."""
    return np.asarray(0.08 + 0.2 * np.clip(outline[:, 1] / f.nose_length, 0, 1))


@dataclass(frozen=True)
class Mouth:
    """Four edges (13, 2) from the picture's left to its right corner, in face units, top to bottom."""

    top: Curve
    upper_edge: Curve
    lower_edge: Curve
    bottom: Curve


def mouth_edges(f: Features) -> Mouth:
    """The lips' edges; the inner two coincide in a closed mouth."""
    s = np.linspace(-1, 1, 13)
    u, arch = f.mouth_width * s, 1 - s**2
    corner = f.mouth_height - f.smile * s**2 * 0.8 + 0.2 * f.smile
    bow = 0.020 * np.exp(-((s / 0.17) ** 2))
    opening = f.opening * arch**0.7
    upper = corner - 0.3 * opening + 0.006 * np.cos(3 * np.pi * s) * arch
    lower = corner + 0.7 * opening + 0.006 * np.cos(3 * np.pi * s) * arch
    top = upper - f.lip_fullness * (0.018 + 0.098 * arch**0.8) + bow
    bottom = lower + f.lip_fullness * (0.014 + 0.135 * arch**0.7)
    return Mouth(*(np.stack([u, v], axis=1) for v in (top, upper, lower, bottom)))


def lens_outline(f: Features, side: int) -> Curve:
    """One lens of a pair of glasses with its frame, in face units."""
    width, height, power = {
        "round": (0.30, 0.29, 2.0),
        "square": (0.32, 0.25, 4.5),
        "wide": (0.34, 0.245, 2.9),
    }[f.lens]
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    u = np.sign(cos) * np.abs(cos) ** (2 / power)
    v = np.sign(sin) * np.abs(sin) ** (2 / power)
    lift = -0.04 * u if f.lens == "wide" else 0.0
    return np.stack([side * (f.eye_distance + 0.01 + width * u), 0.03 + height * v + lift], axis=1)
