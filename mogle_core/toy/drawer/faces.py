"""Portraits from a seed: a label map of all 19 classes, a painted picture, and its caption."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .anatomy import draw_anatomy
from .attributes import (
    BACKGROUND_COLOURS,
    CLOTHING_COLOURS,
    EYE_COLOURS,
    GLASSES_COLOURS,
    HAIR_COLOURS,
    LIPSTICK_COLOURS,
    SKIN_TONES,
    Attributes,
    draw_attributes,
)
from .captions import write_caption
from .creases import draw_creases
from .drawing import Portrait, compose, draw_label_map
from .shading import paint

__all__ = [
    "BACKGROUND_COLOURS",
    "CLOTHING_COLOURS",
    "EYE_COLOURS",
    "GLASSES_COLOURS",
    "HAIR_COLOURS",
    "LIPSTICK_COLOURS",
    "SKIN_TONES",
    "Attributes",
    "Face",
    "Portrait",
    "draw_face",
    "draw_label_map",
    "draw_portrait",
    "paint",
]


@dataclass(frozen=True)
class Face:
    """One drawn portrait: CelebAMask-HQ ids (H, W), RGB (H, W, 3) in 0..255, and its attributes and caption."""

    ids: NDArray[np.uint8]
    picture: NDArray[np.uint8]
    caption: str
    attributes: Attributes


def draw_portrait(seed: int) -> tuple[Portrait, str]:
    """Shapes and caption of one face, before anything is painted."""
    rng = np.random.default_rng(seed)
    attributes = draw_attributes(rng)
    portrait = compose(attributes, draw_anatomy(attributes, rng))
    caption = write_caption(attributes, rng)
    return replace(portrait, creases=draw_creases(portrait.anatomy, attributes.hair_length, rng)), caption


def draw_face(seed: int, size: int = 128) -> Face:
    """The face of this seed; the same face at every size (pixels a side, at least 16).

    Raises:
        ValueError: if the size is too small to hold a face.
    """
    if size < 16:
        raise ValueError(f"a face needs at least 16 pixels a side, but size is {size}; ask for 64 or more")
    portrait, caption = draw_portrait(seed)
    return Face(draw_label_map(portrait, size), paint(portrait, size), caption, portrait.face)
