"""Draws strands of hair, folds of clothing and wrinkles at random places, which label map and caption do not show."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from . import hair as hair_shapes
from .anatomy import Anatomy
from .geometry import Curve, resample, smooth

_POINTS = 24


@dataclass(frozen=True)
class Creases:
    """Curves in the unit square.

    hair: lines between strands. clothing: folds. skin: wrinkles.
    """

    hair: tuple[Curve, ...] = ()
    clothing: tuple[Curve, ...] = ()
    skin: tuple[Curve, ...] = ()


def draw_creases(anatomy: Anatomy, length: str, rng: np.random.Generator) -> Creases:
    """Draw the creases of one face from the generator. length: short, medium or long hair."""
    return Creases(
        tuple(_in_hair(anatomy, length, rng)),
        tuple(_folds(anatomy.body.x, rng)),
        tuple(_wrinkles(anatomy, rng)),
    )


def _in_hair(anatomy: Anatomy, length: str, rng: np.random.Generator) -> list[Curve]:
    """Draw three to six lines on each side of the head, at a slight angle to the flow of the hair."""
    lines, steps = [], np.linspace(0, 1, _POINTS)
    for side in hair_shapes.SIDES:
        count = int(rng.integers(3, 7))
        flow = hair_shapes.flow(anatomy, length, side, 16)
        places = (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count * (len(flow) - 1)
        for place in places:
            start, long, lean = rng.uniform(0.0, 0.25), rng.uniform(0.45, 0.75), rng.uniform(-1.5, 1.5)
            leaning = np.clip(place + lean * (2 * steps - 1), 0, len(flow) - 1)
            lines.append(_across(flow, leaning, start + long * steps))
    return lines


def _across(flow: list[Curve], places: Curve, along: Curve) -> Curve:
    """Draw a line that crosses neighbouring curves of the flow.

    places: the index of the curve at each point; a fraction is between two curves. along: how far along it, 0 to 1.
    """
    table = np.stack([resample(curve, _POINTS) for curve in flow]).astype(np.float32)
    x, y = (at[None].astype(np.float32) for at in (along * (_POINTS - 1), places))
    return np.asarray(cv2.remap(table, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], dtype=float)


def _folds(x: float, rng: np.random.Generator) -> list[Curve]:
    """Draw four to eight folds that run down the chest and shoulders, some of them slanted."""
    count = int(rng.integers(4, 9))
    starts = (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count * 0.9 - 0.45
    lines = []
    for u in starts:
        top = (u, rng.uniform(0.86, 0.93))
        low = (u + rng.uniform(-0.09, 0.09), 1.02)
        bend = (top[0] + 0.5 * (low[0] - top[0]) + rng.uniform(-0.025, 0.025), (top[1] + low[1]) / 2)
        lines.append(smooth([top, bend, low]) + (x, 0))
    return lines


def _wrinkles(anatomy: Anatomy, rng: np.random.Generator) -> list[Curve]:
    """Draw lines from nose to mouth on half of the faces, and two lines across the forehead on half of them."""
    lines = []
    if rng.random() < 0.5:
        bulge = rng.uniform(0.03, 0.09)
        lines += [_beside_the_mouth(anatomy, side, bulge) for side in hair_shapes.SIDES]
    if rng.random() < 0.5:
        lowest = rng.uniform(0.52, 0.6)
        lines += [_over_the_brows(anatomy, height, rng) for height in (lowest, lowest + 0.13)]
    return lines


def _beside_the_mouth(anatomy: Anatomy, side: int, bulge: float) -> Curve:
    f = anatomy.features
    top = (f.nose_width + 0.07, f.nose_length - 0.04)
    low = (f.mouth_width + 0.12, f.mouth_height - 0.5 * f.smile)
    middle = ((top[0] + low[0]) / 2 + bulge, (top[1] + low[1]) / 2 - 0.02)
    return anatomy.head.feature(smooth([top, middle, low]) * (side, 1), 0.05)


def _over_the_brows(anatomy: Anatomy, height: float, rng: np.random.Generator) -> Curve:
    left, right = rng.uniform(0.25, 0.45, 2)
    return anatomy.head.feature(smooth([(-left, -height), (0.0, -height - rng.uniform(0.0, 0.04)), (right, -height)]))
