"""Portraits as outlines, and the label map they paint: exact class ids, no antialiasing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...masks.labels import IDS
from . import hair as hair_shapes
from .anatomy import Anatomy
from .attributes import Attributes
from .creases import Creases
from .features import brow_line, face_outline, lens_outline, lids, mouth_edges, nose_outline, nose_relief
from .geometry import Curve, Points, ellipse, ribbon, smooth


@dataclass(frozen=True)
class Part:
    """One shape: its class id, how it is shaded, its outline (N, 2) in the unit square, and its side."""

    id: int
    kind: str
    outline: Curve
    side: int = 0


def _sided(name: str, side: int) -> int:
    """`l_` is the subject's left, which is the picture's right (side 1)."""
    return IDS[("r_" if side < 0 else "l_") + name]


def _far(anatomy: Anatomy, side: int) -> bool:
    """Whether the head is turned so far that this side's ear is hidden."""
    return side * anatomy.head.yaw > math.radians(9)


def _ears(anatomy: Anatomy) -> list[Part]:
    half = [
        (1.0, -0.10),
        (1.09, -0.16),
        (1.17, -0.06),
        (1.17, 0.16),
        (1.11, 0.36),
        (1.05, 0.5),
        (0.98, 0.5),
        (0.93, 0.2),
    ]
    turned = np.array(half) * (1, 1)
    return [
        Part(_sided("ear", side), "ear", _at_ear(anatomy, smooth(turned * (side, 1), closed=True)), side)
        for side in hair_shapes.SIDES
        if not _far(anatomy, side)
    ]


def _at_ear(anatomy: Anatomy, uv: Points) -> Curve:
    """Ears stand behind the axis of the turn: the near one comes a little forwards."""
    p = np.array(uv, dtype=float)
    p[:, 0] -= 0.22 * np.sin(anatomy.head.yaw)
    return anatomy.head.place(p)


def earring_place(anatomy: Anatomy, side: int) -> tuple[float, float]:
    """The lobe of one ear, in the unit square."""
    x, y = _at_ear(anatomy, [(side * 1.05, 0.50)])[0]
    return float(x), float(y)


def _earrings(anatomy: Anatomy) -> list[Part]:
    parts = []
    long, wide = {"drop": (0.19, 0.072), "stud": (0.088, 0.085), "hoop": (0.17, 0.135)}[anatomy.body.earring]
    for side in hair_shapes.SIDES:
        x, y = earring_place(anatomy, side)
        radii = (wide * anatomy.head.scale, long * anatomy.head.scale)
        outline = ellipse((x, y + 0.8 * radii[1]), radii)
        parts += [] if _far(anatomy, side) else [Part(IDS["ear_r"], "earring", outline, side)]
    return parts


def _shoulders(anatomy: Anatomy, lift: float = 0.0) -> list[tuple[float, float]]:
    """From the neck to the lower right corner and back on the left, in the unit square, body at x = 0."""
    b = anatomy.body
    half = [(b.neck + 0.025, 0.868), (b.neck + 0.10, 0.890), (0.75 * b.shoulder, 0.918), (b.shoulder, 0.955),
            (b.shoulder + 0.10, 1.10)]  # fmt: skip
    right = [(x, y - lift + b.slope * x / 0.4) for x, y in half]
    return right + [(-x, y - lift - b.slope * x / 0.4) for x, y in reversed(half)]


def _neck(anatomy: Anatomy) -> Part:
    b = anatomy.body
    jaw = anatomy.head.silhouette([(-0.42, 1.0), (0.42, 1.0)])
    top = [(float(jaw[0, 0]), float(jaw[0, 1])), (float(jaw[1, 0]), float(jaw[1, 1]))]
    left, right = (b.x - b.neck, 0.835), (b.x + b.neck, 0.835)
    body = [(b.x + 0.96 * x, y) for x, y in _shoulders(anatomy, lift=-0.012)]
    sides = [
        (0.3 * top[1][0] + 0.7 * right[0], 0.78),
        right,
        *body,
        left,
        (0.3 * top[0][0] + 0.7 * left[0], 0.78),
    ]
    return Part(IDS["neck"], "neck", smooth([top[0], top[1], *sides], closed=True))


def _neckline(anatomy: Anatomy, garment: str) -> Curve:
    """The upper edge of the garment from the picture's left to its right, body at x = 0."""
    b, n = anatomy.body, anatomy.body.neckline
    slope = b.slope / 0.4
    if garment == "turtleneck":
        w = b.neck + 0.012
        return smooth([(-w - 0.012, 0.865), (-w, 0.825), (0.0, 0.842), (w, 0.825), (w + 0.012, 0.865)])
    wide = {"T-shirt": 0.035, "V-neck sweater": 0.045, "dress": 0.10 + 0.04 * n, "shirt": 0.02}[garment] + b.neck
    low = {"T-shirt": 0.915 + 0.02 * n, "V-neck sweater": 0.965 + 0.02 * n, "dress": 0.965, "shirt": 0.955}[garment]
    y = 0.868 + 0.3 * (wide - b.neck - 0.02)
    ends = [(-wide, y + wide * -slope), (wide, y + wide * slope)]
    if garment in ("V-neck sweater", "shirt"):
        return np.array([ends[0], (0.0, low), ends[1]])
    curve = [(-0.72 * wide, 0.45 * y + 0.55 * low), (0.0, low), (0.72 * wide, 0.45 * y + 0.55 * low)]
    return smooth([ends[0], *curve, ends[1]])


def _clothing(anatomy: Anatomy, garment: str) -> list[Part]:
    b = anatomy.body
    shoulders = np.array(_shoulders(anatomy, lift=0.008))
    edge = _neckline(anatomy, garment)
    right, left = shoulders[: len(shoulders) // 2], shoulders[len(shoulders) // 2 :]
    right, left = right[right[:, 0] > edge[-1, 0] + 0.01], left[left[:, 0] < edge[0, 0] - 0.01]
    outline = np.concatenate([edge, smooth([edge[-1], *right]), smooth([*left, edge[0]])]) + (b.x, 0)
    parts = [Part(IDS["cloth"], "cloth", outline)]
    return parts + (_collar(anatomy) if garment == "shirt" else [])


def _collar(anatomy: Anatomy) -> list[Part]:
    b = anatomy.body
    half = np.array(
        [
            (b.neck - 0.004, 0.838),
            (b.neck + 0.03, 0.862),
            (0.105, 0.955),
            (0.004, 0.958),
            (0.6 * b.neck, 0.91),
        ]
    )
    return [Part(IDS["cloth"], "collar", half * (side, 1) + (b.x, 0), side) for side in hair_shapes.SIDES]


def necklace_line(anatomy: Anatomy) -> Curve:
    """The middle of the necklace from the picture's left to its right, in the unit square."""
    b, low = anatomy.body, anatomy.body.necklace_drop
    half = [(b.neck + 0.012, 0.862), (0.72 * b.neck, 0.35 * 0.862 + 0.65 * low)]
    knots = [(-x, y) for x, y in half] + [(0.0, low)] + [(x, y) for x, y in reversed(half)]
    return smooth(knots) + (b.x, 0)


def _necklace(anatomy: Anatomy) -> list[Part]:
    line = necklace_line(anatomy)
    beads = anatomy.body.necklace == "beads"
    chain = Part(IDS["neck_l"], "necklace", ribbon(line, 0.011 if beads else 0.0075))
    if beads:
        return [chain]
    x, y = line[len(line) // 2]
    return [chain, Part(IDS["neck_l"], "pendant", ellipse((x, y + 0.012), (0.014, 0.017)))]


def _glasses(anatomy: Anatomy) -> list[Part]:
    f, frame = anatomy.features, anatomy.head
    bridge = frame.feature(ribbon(smooth([(-0.17, -0.03), (0.0, -0.08), (0.17, -0.03)]), 0.042), 0.16)
    parts = [Part(IDS["eye_g"], "bridge", bridge)]
    for side in hair_shapes.SIDES:
        edge = frame.feature([(side * 0.70, -0.04)], 0.04)[0]
        ear = _at_ear(anatomy, [(side * 1.0, -0.03)])[0]
        if not _far(anatomy, side):
            parts.append(Part(IDS["eye_g"], "bridge", ribbon([edge, (edge + ear) / 2, ear], 0.0085), side))
        parts.append(Part(IDS["eye_g"], "lens", frame.feature(lens_outline(f, side), 0.04), side))
    return parts


def _eyes_and_brows(anatomy: Anatomy) -> list[Part]:
    f, frame = anatomy.features, anatomy.head
    parts = []
    for side in hair_shapes.SIDES:
        upper, lower = lids(f, side)
        outline = frame.feature(np.concatenate([upper, lower[-2:0:-1]]))
        parts.append(Part(_sided("eye", side), "eye", outline, side))
    for side in hair_shapes.SIDES:
        thick = f.brow_thickness
        brow = ribbon(brow_line(f, side), (0.6 * thick, thick, thick, 0.85 * thick, 0.4 * thick))
        parts.append(Part(_sided("brow", side), "brow", frame.feature(brow), side))
    return parts


def _mouth(anatomy: Anatomy) -> list[Part]:
    m, frame = mouth_edges(anatomy.features), anatomy.head

    def between(above: Curve, below: Curve) -> Curve:
        return frame.feature(np.concatenate([above, below[::-1]]), 0.1)

    upper = Part(IDS["u_lip"], "upper lip", between(m.top, m.upper_edge))
    lower = Part(IDS["l_lip"], "lower lip", between(m.lower_edge, m.bottom))
    inner = Part(IDS["mouth"], "mouth", between(m.upper_edge, m.lower_edge))
    return [inner, upper, lower] if anatomy.features.opening else [upper, lower]


def _face(anatomy: Anatomy) -> list[Part]:
    f, frame = anatomy.features, anatomy.head
    nose = nose_outline(f)
    return [
        Part(IDS["skin"], "face", frame.silhouette(face_outline(f))),
        Part(IDS["nose"], "nose", frame.feature(nose, nose_relief(nose, f))),
    ]


def _hair(outlines: tuple[Curve, ...], kind: str) -> list[Part]:
    return [Part(IDS["hair"], kind, outline) for outline in outlines]


@dataclass(frozen=True)
class Portrait:
    """Everything that is needed to paint a portrait. Later parts cover earlier ones; hair flows along the strands."""

    face: Attributes
    anatomy: Anatomy
    parts: tuple[Part, ...]
    strands: tuple[Curve, ...]
    creases: Creases = Creases()

    def outlines(self, *kinds: str) -> list[Curve]:
        """The outlines of these kinds of part, from back to front."""
        return [part.outline for part in self.parts if part.kind in kinds]


def compose(face: Attributes, anatomy: Anatomy) -> Portrait:
    """Every shape in CelebAMask-HQ's painting order, except hair and neck, which have several layers."""
    length = face.hair_length
    parts = [*_hair((hair_shapes.back(anatomy, length),), "back hair"), _neck(anatomy)]
    parts += _clothing(anatomy, face.clothing) + (_necklace(anatomy) if face.necklace else [])
    parts += _hair(hair_shapes.locks(anatomy, length), "lock")
    parts += _ears(anatomy) + _face(anatomy) + _mouth(anatomy)
    parts += _glasses(anatomy) if face.glasses else []
    parts += _eyes_and_brows(anatomy) + _hair((hair_shapes.front(anatomy, length),), "front hair")
    if face.hat:
        parts += [Part(IDS["hat"], kind, piece) for kind, piece in hair_shapes.hat(anatomy, face.hat)]
    parts += _earrings(anatomy) if face.earrings else []
    return Portrait(face, anatomy, tuple(parts), tuple(hair_shapes.strands(anatomy, length, _STRANDS)))


_STRANDS = 20
_FINE = 3  # odd, so that one of the finer points lies in the middle of each pixel


def draw_label_map(portrait: Portrait, size: int = 128) -> NDArray[np.uint8]:
    """CelebAMask-HQ ids (size, size): the class of the topmost shape at each pixel's middle."""
    fine = np.zeros((size * _FINE, size * _FINE), np.uint8)
    for part in portrait.parts:
        points = np.round((part.outline * size * _FINE - 0.5) * 256).astype(np.int32)
        cv2.fillPoly(fine, [points], part.id, cv2.LINE_8, 8)
    return np.ascontiguousarray(fine[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE])
