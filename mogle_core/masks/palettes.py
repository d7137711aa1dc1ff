"""The colours in which public tools draw a face's classes, as named tables.

CelebAMask-HQ's colours are also used for the ids of other parsers, so a mask in them can be read in any label
space. The other tables belong to one label space each: their colours say which parser made the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import dist

from .labels import PALETTE

RGB = tuple[int, int, int]

TOLERANCE = 25.0
"""The RGB distance below which a colour counts as CelebAMask-HQ's: less than half of the smallest distance, 51."""

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Palette:
    """A table of drawing colours.

    title: for messages. space: the label space whose ids `colours` follow; None if every space's ids are drawn in
    them. colours: by id, None where the tool has no fixed colour. grounds: further colours of the background.
    merged: (left, right) class ids that share one colour.
    """

    title: str
    space: str | None
    colours: tuple[RGB | None, ...]
    grounds: tuple[RGB, ...] = ()
    merged: tuple[tuple[int, int], ...] = ()

    @property
    def entries(self) -> tuple[tuple[RGB, int], ...]:
        """(colour, id) of every colour that the table has."""
        named = tuple((rgb, number) for number, rgb in enumerate(self.colours) if rgb is not None)
        return named + tuple((rgb, 0) for rgb in self.grounds)

    @property
    def tolerance(self) -> float:
        """How far a colour may be from an entry: less than half of the distance to another class's."""
        apart = [dist(one, two) for (one, a), (two, b) in combinations(self.entries, 2) if a != b]
        return min(TOLERANCE, 0.49 * min(apart))


PALETTES: tuple[Palette, ...] = (
    Palette("the CelebAMask-HQ palette", None, PALETTE),
    # MaskGAN's demo, SEAN and SegFace paint the right brow in another colour than the data set.
    Palette("MaskGAN's palette", None, tuple((51, 255, 255) if number == 7 else c for number, c in enumerate(PALETTE))),
    # face-parsing.PyTorch draws on white, its successors on black.
    Palette(
        "BiSeNet's drawing colours",
        "bisenet",
        (
            _BLACK, (255, 85, 0), (255, 170, 0), (255, 0, 85), (255, 0, 170), (0, 255, 0), (85, 255, 0),
            (170, 255, 0), (0, 255, 85), (0, 255, 170), (0, 0, 255), (85, 0, 255), (170, 0, 255), (0, 85, 255),
            (0, 170, 255), (255, 255, 0), (255, 255, 85), (255, 255, 170), (255, 0, 255),
        ),
        (_WHITE,),
    ),
    Palette(
        "LaPa's palette",
        "lapa",
        (
            _BLACK, (0, 153, 255), (102, 255, 153), (0, 204, 153), (255, 255, 102), (255, 255, 204), (255, 153, 0),
            (255, 102, 255), (102, 0, 51), (255, 204, 255), (255, 0, 102),
        ),
    ),
    # facer looks its colours up by the classes' names. It has one colour for both ears, random ones for hat and
    # earring, and white for the necklace as for the background of a drawing without a photo.
    Palette(
        "the colours in which facer draws FaRL's classes",
        "farl",
        (
            _BLACK, (250, 245, 50), (255, 250, 79), (0, 255, 127), (255, 250, 100), None, (213, 32, 29),
            (255, 125, 138), (0, 196, 253), (0, 144, 187), (255, 129, 54), (255, 76, 249), (0, 117, 27),
            (88, 233, 135), (255, 0, 0), (255, 0, 127),
        ),
        (_WHITE,),
        ((8, 9),),
    ),
)  # fmt: skip
"""In the order in which they are tried."""
