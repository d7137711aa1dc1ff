"""Landmarks of drawn portraits, from the curves that the drawer draws them with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...model.conditions.landmarks import Points, draw
from .anatomy import Features
from .faces import draw_portrait
from .features import brow_line, face_outline, lids, mouth_edges
from .geometry import Curve, HeadFrame, resample

SIDES = {-1: "r", 1: "l"}
"""The picture's left is the subject's right."""


def landmarks_of(seed: int) -> dict[str, Points]:
    """The landmarks' lines of this seed's face, by name, in the unit square."""
    anatomy = draw_portrait(seed)[0].anatomy
    f, frame = anatomy.features, anatomy.head
    edges = mouth_edges(f)
    lines: dict[str, Curve] = {
        "jaw": _jaw(f, frame),
        "nose": _nose(f, frame),
        "lips": _ring(frame.feature(edges.top, 0.1), frame.feature(edges.bottom, 0.1)),
    }
    if f.opening:
        lines["mouth"] = _ring(frame.feature(edges.upper_edge, 0.1), frame.feature(edges.lower_edge, 0.1))
    for side, name in SIDES.items():
        upper, lower = (frame.feature(lid) for lid in lids(f, side))
        lines[f"{name}_brow"] = resample(frame.feature(brow_line(f, side)), 5)
        lines[f"{name}_eye"] = _ring(upper, lower)
    return {name: np.asarray(line, dtype=np.float64) for name, line in lines.items()}


def draw_landmarks(seed: int, size: int = 128) -> NDArray[np.uint8]:
    """The landmarks of this seed's face as a picture (size, size, 3)."""
    return np.asarray((draw(landmarks_of(seed), (size, size)) * 255).round().byte().numpy())


def _jaw(f: Features, frame: HeadFrame) -> Points:
    """From the picture's left over the chin to its right, below the eyes."""
    outline = face_outline(f)
    return np.asarray(resample(frame.silhouette(outline[outline[:, 1] >= -0.1])[::-1], 17), dtype=np.float64)


def _nose(f: Features, frame: HeadFrame) -> Points:
    n, w = f.nose_length, f.nose_width
    bridge = [(0.0, -0.06 + (n + 0.06) * share) for share in (0.0, 0.33, 0.67, 1.0)]
    below = [(-w, n), (-0.5 * w, n + 0.07), (0.0, n + 0.11), (0.5 * w, n + 0.07), (w, n)]
    return np.asarray(frame.feature([*bridge, *below], 0.2), dtype=np.float64)


def _ring(above: Curve, below: Curve) -> Points:
    return np.concatenate([resample(above, 7), resample(below, 7)[-2:0:-1]]).astype(np.float64)
