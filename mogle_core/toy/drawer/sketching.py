"""Line drawings of portraits, white on black, as a hand would draw them: with jitter, gaps, overshoot and two pens.

A sketch shows what a label map cannot: strands of hair, folds of clothing, wrinkles, where the eyes look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...masks.labels import IDS
from .drawing import Part, Portrait, draw_label_map
from .faces import draw_portrait
from .features import lids
from .geometry import Curve, Points, ellipse, normals, resample, smooth

STYLES = 4
"""How many sketches of each face a training set has; any number is possible."""

OUTLINES = "outlines"
DETAILS = ("strands of hair", "folds of clothing", "wrinkles", "ears", "eyes and lids")

_FINE = 3  # pixels of the drawing for each of the sketch's, so that lines are smooth
_BITS = 6

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Hand:
    """How loosely lines are drawn. Lengths are in the unit square.

    jitter: how far lines wander. gap: the share of a line's pieces that is left out. overshoot: how far a piece goes
    on beyond its end. width: of the pen. level: its brightness, 0 to 255. blur: of its edge; 0 is a hard pen.
    """

    jitter: float = 0.0
    gap: float = 0.0
    overshoot: float = 0.0
    width: float = 0.008
    level: int = 255
    blur: float = 0.0


EXACT = Hand()
"""Draws without any looseness. These lines are compared with a picture's edges."""


def some_hand(rng: np.random.Generator) -> Hand:
    """A hand with one of two pens: a hard thin one, or a soft broad one in some grey."""
    soft = rng.random() < 0.5
    return Hand(
        jitter=rng.uniform(0.0, 0.006),
        gap=rng.uniform(0.0, 0.15),
        overshoot=rng.uniform(0.0, 0.02),
        width=rng.uniform(0.009, 0.014) if soft else rng.uniform(0.006, 0.009),
        level=int(rng.integers(150, 236)) if soft else 255,
        blur=0.004 if soft else 0.0,
    )


def draw_sketch(seed: int, size: int = 128, style: int = 0) -> Levels:
    """The sketch (size, size) of this seed's face in 0..255. `style`: which hand draws it, any number from 0 on."""
    rng = np.random.default_rng((seed, style, 21))
    return sketch(draw_portrait(seed)[0], size, some_hand(rng), rng)


def exact_lines(seed: int, size: int = 128) -> dict[str, Levels]:
    """Draw the lines of this seed's face without the shake of a hand: one image (size, size) for each kind of line.

    The label map shows the outlines as well, but none of the details (`DETAILS`).
    """
    layers = _layers(draw_portrait(seed)[0], size * _FINE, EXACT, np.random.default_rng(0))
    lines = {name: _shrunk(layer, size) for name, layer in layers.items()}
    details = {name: np.where(lines[OUTLINES] > 96, 0, lines[name]).astype(np.uint8) for name in DETAILS}
    return {OUTLINES: lines[OUTLINES], **details}


def sketch(portrait: Portrait, size: int, hand: Hand, rng: np.random.Generator) -> Levels:
    """The portrait's outlines and details by this hand, (size, size)."""
    fine = size * _FINE
    lines = np.maximum.reduce(list(_layers(portrait, fine, hand, rng).values()))
    if hand.blur:
        lines = cv2.GaussianBlur(lines, (0, 0), hand.blur * fine / 2)
        lines = np.clip(lines.astype(np.float32) * (255 / max(1, int(lines.max()))), 0, 255).astype(np.uint8)
    return (_shrunk(lines, size) * (hand.level / 255)).astype(np.uint8)


def _layers(portrait: Portrait, fine: int, hand: Hand, rng: np.random.Generator) -> dict[str, Levels]:
    """One image (fine, fine) for the outlines and one for each kind of detail."""
    ids = draw_label_map(portrait, fine // _FINE)
    ids = np.asarray(cv2.resize(ids, (fine, fine), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    outlines = _outlines(portrait, ids, hand, rng)
    return {OUTLINES: outlines, **_details(portrait, ids, hand, rng)}


def _outlines(portrait: Portrait, ids: Levels, hand: Hand, rng: np.random.Generator) -> Levels:
    """Each part's outline, where later parts do not cover it."""
    canvas, fine = np.zeros_like(ids), len(ids)
    for part in portrait.parts:
        cv2.fillPoly(canvas, [_fixed(part.outline, fine)], 0, cv2.LINE_8, _BITS)
        _stroke(canvas, np.concatenate([part.outline, part.outline[:1]]), hand, rng)
    # The layers of hair are one head of hair, so no line may show where one of them ends on another.
    hair = (ids == IDS["hair"]).astype(np.uint8)
    reach = 2 * round((hand.width + hand.jitter) * fine / 2) + 3
    canvas[cv2.erode(hair, np.ones((reach, reach), np.uint8), borderValue=1) > 0] = 0
    return canvas


def _details(portrait: Portrait, ids: Levels, hand: Hand, rng: np.random.Generator) -> dict[str, Levels]:
    """Draw one image for each kind of detail. Each line is cut off at the edge of its classes."""
    layers = {name: np.zeros_like(ids) for name in DETAILS}
    for name, classes, lines in _detail_lines(portrait):
        drawn = np.zeros_like(ids)
        for line in lines:
            _stroke(drawn, line, hand, rng)
        drawn[~np.isin(ids, [IDS[each] for each in classes])] = 0
        layers[name] = np.maximum(layers[name], drawn)
    return layers


def _detail_lines(portrait: Portrait) -> Iterator[tuple[str, tuple[str, ...], Sequence[Curve]]]:
    yield "strands of hair", ("hair",), portrait.creases.hair
    yield "folds of clothing", ("cloth",), portrait.creases.clothing
    yield "wrinkles", ("skin",), portrait.creases.skin
    yield "ears", ("l_ear", "r_ear"), [_ear_fold(part, portrait) for part in portrait.parts if part.kind == "ear"]
    yield "eyes and lids", ("l_eye", "r_eye"), [_iris(portrait, side) for side in (-1, 1)]
    yield "eyes and lids", ("skin",), [_crease(portrait, side) for side in (-1, 1)]


def _ear_fold(part: Part, portrait: Portrait) -> Curve:
    scale = portrait.anatomy.head.scale
    fold = np.array([(0.02, -0.2), (0.075, -0.12), (0.06, 0.02), (0.0, 0.14)])
    return smooth(fold * (part.side * scale, scale) + part.outline.mean(0))


def _iris(portrait: Portrait, side: int) -> Curve:
    f, frame = portrait.anatomy.features, portrait.anatomy.head
    centre = (side * f.eye_distance + 0.25 * f.eye_width * f.gaze[0], -0.022 + 0.3 * f.eye_height * f.gaze[1])
    x, y = frame.feature([centre])[0]
    circle = ellipse((float(x), float(y)), (0.118 * frame.scale, 0.118 * frame.scale))
    return np.concatenate([circle, circle[:1]])


def _crease(portrait: Portrait, side: int) -> Curve:
    """The fold of the upper lid."""
    upper, _ = lids(portrait.anatomy.features, side)
    return portrait.anatomy.head.feature(upper + (0, -0.075))[2:]


def _stroke(canvas: Levels, line: Points, hand: Hand, rng: np.random.Generator) -> None:
    """A line by this hand: in pieces, some of which are left out, each of them wandering and longer than its place."""
    size = len(canvas)
    thickness = max(1, round(hand.width * size))
    for piece in _pieces(np.asarray(line, dtype=float), hand, rng):
        cv2.polylines(canvas, [_fixed(piece, size)], False, 255, thickness, cv2.LINE_AA, _BITS)


def _pieces(line: Curve, hand: Hand, rng: np.random.Generator) -> list[Curve]:
    if hand.jitter == hand.gap == hand.overshoot == 0:
        return [line]
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    fine = resample(line, max(8, round(length / 0.008)))
    cuts = max(1, round(length / rng.uniform(0.12, 0.3)))
    pieces = [piece for piece in np.array_split(fine, cuts) if len(piece) > 2]
    joined = [np.concatenate([piece, after[:1]]) for piece, after in zip(pieces, [*pieces[1:], fine[-1:]], strict=True)]
    return [_overshot(_wandering(piece, hand, rng), hand, rng) for piece in joined if rng.random() >= hand.gap]


def _wandering(piece: Curve, hand: Hand, rng: np.random.Generator) -> Curve:
    """The piece moved sideways by two slow waves."""
    along = np.linspace(0, 1, len(piece))
    waves, phases = rng.normal(0, hand.jitter, 2), rng.uniform(0, 2 * np.pi, 2)
    slow, quick = np.sin(phases[0] + np.pi * along), np.sin(phases[1] + 3 * np.pi * along)
    return np.asarray(piece + normals(piece) * (waves[0] * slow + waves[1] * quick)[:, None])


def _overshot(piece: Curve, hand: Hand, rng: np.random.Generator) -> Curve:
    """The piece with its ends drawn on in their direction."""
    first, last = piece[0] - piece[1], piece[-1] - piece[-2]
    reach = rng.uniform(0, hand.overshoot, 2) / np.maximum(1e-6, [np.hypot(*first), np.hypot(*last)])
    return np.concatenate([[piece[0] + reach[0] * first], piece, [piece[-1] + reach[1] * last]])


def _fixed(points: Points, size: int) -> NDArray[np.int32]:
    """Fixed-point pixel coordinates for OpenCV."""
    return np.round((np.asarray(points, dtype=float) * size - 0.5) * (1 << _BITS)).astype(np.int32)


def _shrunk(lines: Levels, size: int) -> Levels:
    return np.asarray(cv2.resize(lines, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)
