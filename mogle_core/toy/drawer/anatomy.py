"""The measures of one face, which the label map shows and no caption mentions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .attributes import Attributes
from .geometry import HeadFrame


@dataclass(frozen=True)
class Features:
    """Face, eyes, brows, nose and mouth, in face units; `gaze` runs from -1 to 1 across and down the eye."""

    jaw: float
    chin: float
    chin_width: float
    eye_width: float
    eye_height: float
    eye_distance: float
    eye_tilt: float
    gaze: tuple[float, float]
    brow_height: float
    brow_arch: float
    brow_thickness: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip_fullness: float
    smile: float
    opening: float
    lens: str


@dataclass(frozen=True)
class Hair:
    """Hair in face units. Pairs are (picture's left, picture's right); `ends` is where it stops below."""

    volume: float
    fringe: str
    parting: float
    ends: float
    tucked: tuple[bool, bool]
    in_front: tuple[bool, bool]
    wave: float
    waves: float
    phase: float


@dataclass(frozen=True)
class Body:
    """Neck, shoulders and what hangs there, in the unit square (widths) and as shares (0..1)."""

    x: float
    neck: float
    shoulder: float
    slope: float
    neckline: float
    necklace_drop: float
    necklace: str
    earring: str
    hat_tilt: float


@dataclass(frozen=True)
class Anatomy:
    """All measures of one portrait."""

    head: HeadFrame
    features: Features
    hair: Hair
    body: Body


def _head(rng: np.random.Generator, face: Attributes) -> HeadFrame:
    turn = {"frontal": 0.0, "turned left": -1.0, "turned right": 1.0}[face.pose]
    degrees = rng.uniform(11, 22) * turn if turn else rng.uniform(-6, 6)
    return HeadFrame(
        # In aligned portraits of a turned head, the features stay near the middle, not the outline.
        x=0.5 + rng.uniform(-0.012, 0.012) - 0.0022 * degrees,
        y=0.465 + rng.uniform(-0.012, 0.012),
        scale=rng.uniform(0.205, 0.224),
        yaw=math.radians(degrees),
        roll=math.radians(float(np.clip(rng.normal(0, 3.2), -8, 8))),
    )


def _features(rng: np.random.Generator, face: Attributes) -> Features:
    heavy = {"woman": 0.0, "person": 0.45, "man": 1.0}[face.subject]
    brows = {"arched": (0.11, 0.050), "thin": (0.06, 0.040), "bushy": (0.05, 0.070)}[face.brows]
    smile = rng.uniform(0.11, 0.19) if face.smiling else rng.uniform(-0.03, 0.015) + (0.025 if face.mouth_open else 0.0)
    return Features(
        jaw=0.76 + 0.08 * heavy + rng.uniform(-0.05, 0.05),
        chin=1.47 + rng.uniform(-0.06, 0.06),
        chin_width=0.36 + 0.10 * heavy + rng.uniform(-0.05, 0.05),
        eye_width=rng.uniform(0.21, 0.24),
        eye_height=rng.uniform(0.14, 0.18) * (0.88 if face.smiling else 1.0),
        eye_distance=rng.uniform(0.425, 0.465),
        eye_tilt=rng.uniform(-0.02, 0.05),
        gaze=(rng.uniform(-0.25, 0.25), rng.uniform(-0.1, 0.1)),
        brow_height=rng.uniform(0.30, 0.35),
        brow_arch=brows[0] + rng.uniform(-0.02, 0.02),
        brow_thickness=brows[1] + rng.uniform(-0.003, 0.004),
        nose_length=rng.uniform(0.58, 0.70),
        nose_width=rng.uniform(0.20, 0.27) + 0.02 * heavy,
        mouth_height=rng.uniform(0.96, 1.02),
        mouth_width=rng.uniform(0.33, 0.40) + (0.06 if face.smiling else 0.0),
        lip_fullness=rng.uniform(0.85, 1.25) - 0.12 * heavy,
        smile=smile,
        opening=rng.uniform(0.09, 0.20) if face.mouth_open else 0.0,
        lens=("round", "square", "wide")[int(rng.integers(3))],
    )


def _tucked(rng: np.random.Generator, face: Attributes) -> tuple[bool, bool]:
    """Whether hair goes behind each ear: always where it is short or an earring must be seen."""
    bare = face.hair_length == "short" or face.earrings
    left, right = rng.random(2) < 0.3
    return (bare or bool(left), bare or bool(right))


def _ends(rng: np.random.Generator, length: str) -> float:
    low, high = {"short": (0.30, 0.40), "medium": (1.15, 1.65), "long": (2.05, 2.75)}[length]
    return float(rng.uniform(low, high))


def _hair(rng: np.random.Generator, face: Attributes) -> Hair:
    fringes = ("swept", "side", "full") if face.hair_length == "short" else ("centre", "side", "full", "swept")
    fringe = fringes[int(rng.integers(len(fringes)))]
    side = 1.0 if rng.random() < 0.5 else -1.0
    wave = {"straight": 0.0, "wavy": 0.045, "curly": 0.075}[face.hair_texture]
    volume = {"straight": 0.10, "wavy": 0.15, "curly": 0.24}[face.hair_texture] + rng.uniform(-0.02, 0.08)
    shoulder = rng.random(2) < 0.65
    return Hair(
        volume=volume * (0.75 if face.hair_length == "short" else 1.0) * (0.55 if face.hat else 1.0),
        fringe=fringe,
        parting=side * rng.uniform(0.28, 0.45) if fringe == "side" else 0.0,
        ends=_ends(rng, face.hair_length),
        tucked=_tucked(rng, face),
        in_front=(bool(shoulder[0]), bool(shoulder[1])),
        wave=wave * rng.uniform(0.85, 1.15),
        waves={"straight": 0.0, "wavy": 1.5, "curly": 3.4}[face.hair_texture] * rng.uniform(0.9, 1.1),
        phase=rng.uniform(0, 2 * math.pi),
    )


def _body(rng: np.random.Generator, face: Attributes, head: HeadFrame) -> Body:
    heavy = {"woman": 0.0, "person": 0.5, "man": 1.0}[face.subject]
    return Body(
        x=0.5 + 0.5 * (head.x - 0.5) + rng.uniform(-0.01, 0.01),
        neck=0.098 + 0.018 * heavy + rng.uniform(-0.005, 0.005),
        shoulder=0.41 + 0.05 * heavy + rng.uniform(-0.02, 0.02),
        slope=rng.uniform(-0.012, 0.012),
        neckline=rng.uniform(0, 1),
        necklace_drop=rng.uniform(0.915, 0.955),
        necklace=("chain", "beads")[int(rng.integers(2))],
        earring=("drop", "stud", "hoop")[int(rng.integers(3))],
        hat_tilt=rng.uniform(-1, 1),
    )


def draw_anatomy(face: Attributes, rng: np.random.Generator) -> Anatomy:
    """Measures that suit the attributes; the generator's next draws decide the rest."""
    head = _head(rng, face)
    return Anatomy(head, _features(rng, face), _hair(rng, face), _body(rng, face, head))
