"""What a caption can say of a drawn portrait: the words, their colours, and how often they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

RGB = tuple[int, int, int]


def _colours(**rgb: RGB) -> Mapping[str, RGB]:
    return MappingProxyType(rgb)


HAIR_COLOURS = _colours(
    black=(34, 30, 36),
    brown=(100, 60, 36),
    blond=(228, 188, 104),
    red=(198, 74, 32),
    grey=(172, 174, 180),
    blue=(58, 98, 190),
    green=(62, 152, 92),
    pink=(242, 114, 154),
)
"""What hair is painted with: a hair region's mean colour lies nearest to the stated one."""

SKIN_TONES = _colours(
    pale=(252, 226, 210), fair=(244, 204, 176), tan=(222, 170, 128), brown=(170, 114, 78), dark=(112, 72, 52)
)
"""The base colour of face, ears and neck."""

EYE_COLOURS = _colours(brown=(104, 62, 34), blue=(70, 128, 190), green=(84, 140, 84), grey=(124, 134, 146))
"""The colour of the iris."""

LIPSTICK_COLOURS = _colours(red=(196, 34, 48), pink=(226, 88, 128), plum=(126, 38, 84), orange=(228, 98, 58))
"""The colour of both lips with lipstick; without it their colour follows the skin."""

GLASSES_COLOURS = _colours(black=(36, 34, 40), brown=(116, 66, 36), red=(186, 42, 48), golden=(206, 160, 74))
"""The colour of the frame."""

CLOTHING_COLOURS = _colours(
    red=(192, 58, 56),
    blue=(62, 98, 164),
    green=(76, 136, 96),
    yellow=(236, 190, 84),
    purple=(126, 86, 154),
    orange=(226, 128, 66),
    white=(238, 234, 226),
    black=(52, 50, 58),
)
"""The base colour of clothing and of hats."""

BACKGROUND_COLOURS = _colours(
    blue=(150, 190, 222),
    green=(168, 204, 168),
    yellow=(246, 220, 150),
    pink=(242, 192, 196),
    purple=(192, 176, 218),
    orange=(244, 186, 138),
    grey=(190, 190, 194),
    white=(244, 240, 232),
)
"""The mean colour of the background."""


@dataclass(frozen=True)
class Attributes:
    """What a caption says of a face. Colour words are keys of the mappings above; None is "not worn".

    `pose` is "frontal", "turned left" or "turned right", in the picture's directions.
    """

    subject: str
    hair_colour: str
    hair_length: str
    hair_texture: str
    skin_tone: str
    eye_colour: str
    brows: str
    smiling: bool
    mouth_open: bool
    lipstick: str | None
    glasses: str | None
    hat: str | None
    hat_colour: str | None
    earrings: bool
    necklace: bool
    clothing: str
    clothing_colour: str
    background: str
    pose: str


def _pick(rng: np.random.Generator, words: Sequence[str], weights: Sequence[float] | None = None) -> str:
    return words[int(rng.choice(len(words), p=weights))]


def _perhaps(rng: np.random.Generator, chance: float, words: Sequence[str]) -> str | None:
    return _pick(rng, words) if rng.random() < chance else None


# Chances of (hair lengths, lipstick, earrings, necklace): mild leanings, so that no word decides another.
_LEANINGS: Mapping[str, tuple[tuple[float, float, float], float, float, float]] = MappingProxyType(
    {
        "woman": ((0.14, 0.30, 0.56), 0.62, 0.50, 0.46),
        "man": ((0.80, 0.12, 0.08), 0.0, 0.10, 0.14),
        "person": ((0.36, 0.34, 0.30), 0.20, 0.32, 0.32),
    }
)

_OPEN_COLLARS = ("T-shirt", "V-neck sweater", "dress")


def draw_attributes(rng: np.random.Generator) -> Attributes:
    """Attributes of one face; the generator's next draws decide them."""
    subject = _pick(rng, ("woman", "man", "person"), (0.48, 0.30, 0.22))
    lengths, lipstick, earrings, necklace = _LEANINGS[subject]
    hat = _perhaps(rng, 0.24, ("beanie", "hat", "cap", "beret"))
    wears_necklace = bool(rng.random() < necklace)
    garments = _OPEN_COLLARS if wears_necklace else (*_OPEN_COLLARS, "shirt", "turtleneck")
    colours = tuple(CLOTHING_COLOURS)
    return Attributes(
        subject=subject,
        hair_colour=_pick(rng, tuple(HAIR_COLOURS), (0.16, 0.18, 0.18, 0.16, 0.11, 0.07, 0.07, 0.07)),
        hair_length=_pick(rng, ("short", "medium", "long"), lengths),
        hair_texture=_pick(rng, ("straight", "wavy", "curly"), (0.42, 0.34, 0.24)),
        skin_tone=_pick(rng, tuple(SKIN_TONES)),
        eye_colour=_pick(rng, tuple(EYE_COLOURS)),
        brows=_pick(rng, ("arched", "thin", "bushy")),
        smiling=bool(rng.random() < 0.55),
        mouth_open=bool(rng.random() < 0.38),
        lipstick=_perhaps(rng, lipstick, tuple(LIPSTICK_COLOURS)),
        glasses=_perhaps(rng, 0.26, tuple(GLASSES_COLOURS)),
        hat=hat,
        hat_colour=_pick(rng, colours) if hat else None,
        earrings=bool(rng.random() < earrings),
        necklace=wears_necklace,
        clothing=_pick(rng, garments),
        clothing_colour=_pick(rng, colours),
        background=_pick(rng, tuple(BACKGROUND_COLOURS)),
        pose=_pick(rng, ("frontal", "turned left", "turned right"), (0.5, 0.25, 0.25)),
    )
