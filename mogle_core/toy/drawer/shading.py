"""Paints a portrait: background, hair, and every part by its painter. The light comes from the upper left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from . import complexion, garments
from .attributes import BACKGROUND_COLOURS, HAIR_COLOURS
from .canvas import Canvas, Colour, Stencil, darker, lighter, rgb, shrunk
from .drawing import Part, Portrait
from .geometry import normals, smooth

Painter = Callable[[Canvas, Part, Portrait], None]


def _background(canvas: Canvas, portrait: Portrait) -> None:
    colour = rgb(BACKGROUND_COLOURS[portrait.face.background])
    everything = Stencil(0, 0, np.ones((canvas.size, canvas.size), np.float32))
    canvas.lay(
        everything,
        canvas.gradient(everything, [(0.25, 0.0), (0.8, 1.0)], (lighter(colour, 0.22), darker(colour, 0.32))),
    )
    canvas.glow((0.42, 0.36), (0.3, 0.3), lighter(colour, 0.55), 0.7, everything)


def _lit(colour: Colour, share: float) -> Colour:
    """Hair in the light: brighter in its own hue first, so that black stays black and red stays red."""
    gain = min(1 + 1.2 * share, 1 / float(colour.max()))  # a clipped channel would change the hue
    return lighter(np.asarray(colour * np.float32(gain)), 0.22 * share)


def _paint_hair(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    """One layer of hair: a tone that falls off downwards, strands along the flow, a band of shine."""
    colour = rgb(HAIR_COLOURS[portrait.face.hair_colour])
    hair = canvas.stencil(part.outline)
    frame = portrait.anatomy.head
    top, low = (frame.x - 0.1, frame.y - 1.5 * frame.scale), (frame.x + 0.12, frame.y + 2.0 * frame.scale)
    canvas.lay(hair, canvas.gradient(hair, [top, low], (_lit(colour, 0.12), darker(colour, 0.18))))
    # The layers are one head of hair: no edge may show where one of them ends on another.
    canvas.rim(portrait.outlines("back hair", "lock", "front hair"), hair, 0.010, darker(colour, 0.9), 0.40)
    _strands(canvas, hair, colour, portrait)
    _hair_creases(canvas, hair, colour, portrait)
    if part.kind == "back hair":
        for face in portrait.outlines("face", "neck"):
            canvas.cast(face, hair, (0.0, 0.045), 0.022, darker(darker(colour, 1.0), 0.6), 0.8)
    else:
        _shine(canvas, hair, colour, portrait)


def _strands(canvas: Canvas, hair: Stencil, colour: Colour, portrait: Portrait) -> None:
    for first, width, blur, tone, opacity in (
        (0, 0.012, 0.005, darker(colour, 1.0), 0.15),
        (1, 0.010, 0.003, _lit(colour, 0.5), 0.3),
        (2, 0.003, 0.0, darker(colour, 1.0), 0.1),
        (3, 0.0025, 0.0, _lit(colour, 0.6), 0.3),
    ):
        lines = canvas.threads(portrait.strands[first::4], width, blur)
        alpha = lines.alpha[hair.window] * hair.alpha
        canvas.lay(Stencil(hair.top, hair.left, alpha), tone, opacity)


def _hair_creases(canvas: Canvas, hair: Stencil, colour: Colour, portrait: Portrait) -> None:
    """Draw each crease as a dark line with a highlight beside it."""
    dark = darker(darker(colour, 1.0), 0.3)
    for line in portrait.creases.hair:
        canvas.stroke(line - 0.014 * normals(line), (0.002, 0.012, 0.002), _lit(colour, 0.7), 0.7, hair, 0.004)
        canvas.stroke(line, (0.001, 0.007, 0.002), dark, 0.7, hair)


def _shine(canvas: Canvas, hair: Stencil, colour: Colour, portrait: Portrait) -> None:
    """The light's reflection runs across the strands, around the head."""
    frame, volume = portrait.anatomy.head, portrait.anatomy.hair.volume
    if portrait.face.hat:
        return
    arc = frame.silhouette(smooth([(-0.98 - 0.4 * volume, -0.62), (-0.72, -1.05), (-0.25, -1.22), (0.25, -1.24)]))
    for point in arc[::3]:
        canvas.glow(point, (0.12 * frame.scale, 0.12 * frame.scale), _lit(colour, 0.9), 0.22, hair)


_PAINTERS: Mapping[str, Painter] = MappingProxyType(
    {
        "back hair": _paint_hair,
        "lock": _paint_hair,
        "front hair": _paint_hair,
        "neck": complexion.paint_neck,
        "ear": complexion.paint_ear,
        "face": complexion.paint_face,
        "nose": complexion.paint_nose,
        "upper lip": complexion.paint_upper_lip,
        "lower lip": complexion.paint_lower_lip,
        "mouth": complexion.paint_mouth,
        "eye": complexion.paint_eye,
        "brow": complexion.paint_brow,
        "cloth": garments.paint_cloth,
        "collar": garments.paint_collar,
        "lens": garments.paint_lens,
        "bridge": garments.paint_bridge,
        "earring": garments.paint_earring,
        "necklace": garments.paint_necklace,
        "pendant": garments.paint_pendant,
        **dict.fromkeys(
            ("knit", "cuff", "bobble", "crown", "band", "brim", "panels", "visor", "puff"), garments.paint_hat
        ),
    }
)


def paint(portrait: Portrait, size: int = 128, supersampling: int = 2) -> NDArray[np.uint8]:
    """The shaded picture, RGB (size, size, 3) in 0..255. It depends on the portrait alone.

    Colours come from the attributes of the face, places from its shapes.
    """
    canvas = Canvas(size * supersampling)
    _background(canvas, portrait)
    for part in portrait.parts:
        _PAINTERS[part.kind](canvas, part, portrait)
    return shrunk(canvas.pixels, size)
