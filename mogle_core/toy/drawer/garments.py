"""Paints what is worn: clothing, hats, glasses and jewellery."""

from __future__ import annotations

import numpy as np

from .attributes import CLOTHING_COLOURS, GLASSES_COLOURS
from .canvas import Canvas, Colour, Stencil, darker, lighter, mix, rgb, without
from .drawing import Part, Portrait, necklace_line
from .geometry import Curve, ellipse, resample, smooth

_GOLD = rgb((222, 176, 88))


def paint_cloth(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    face, body = portrait.face, portrait.anatomy.body
    colour = rgb(CLOTHING_COLOURS[face.clothing_colour])
    cloth = canvas.stencil(part.outline)
    canvas.lay(
        cloth,
        canvas.gradient(cloth, [(0.2, 0.84), (0.75, 1.05)], (lighter(colour, 0.16), darker(colour, 0.45))),
    )
    canvas.rim([part.outline], cloth, 0.012, darker(colour, 1.0), 0.4)
    _folds(canvas, cloth, colour, portrait)
    for hair in portrait.outlines("lock"):
        canvas.cast(hair, cloth, (0.008, 0.012), 0.012, darker(colour, 1.0), 0.5)
    if face.clothing == "turtleneck":
        _ribs(canvas, cloth, colour, body.x, body.neck)
    elif face.clothing != "shirt":
        _hem(canvas, part.outline, cloth, colour)
    for outline in portrait.outlines("face"):
        canvas.cast(outline, cloth, (0.015, 0.06), 0.02, darker(colour, 1.0), 0.45)


def _folds(canvas: Canvas, cloth: Stencil, colour: Colour, portrait: Portrait) -> None:
    """Draw each fold as a dark line with a highlight on its left."""
    for line in portrait.creases.clothing:
        canvas.stroke(line + (-0.013, 0), (0.001, 0.010, 0.006), lighter(colour, 0.45), 0.55, cloth, 0.004)
        canvas.stroke(line, (0.001, 0.008, 0.005), darker(darker(colour, 1.0), 0.5), 0.75, cloth)


def _ribs(canvas: Canvas, cloth: Stencil, colour: Colour, x: float, neck: float) -> None:
    for u in np.linspace(-1, 1, 11):
        rib = smooth([(x + u * neck, 0.815), (x + u * (neck + 0.004), 0.845), (x + u * (neck + 0.014), 0.872)])
        canvas.stroke(rib, 0.0016, darker(colour, 0.9), 0.5, cloth)
    seam = smooth([(x - neck - 0.02, 0.862), (x, 0.884), (x + neck + 0.02, 0.862)])
    canvas.stroke(seam, (0.0015, 0.004, 0.0015), darker(colour, 1.0), 0.55, cloth)


def _hem(canvas: Canvas, outline: Curve, cloth: Stencil, colour: Colour) -> None:
    """A seam a little below the neckline, which is the outline's first stretch."""
    stop = int(np.argmax(np.diff(outline[:, 0]) <= 0)) or len(outline) // 2
    edge = outline[: max(3, min(stop, 25))]
    canvas.stroke(edge + (0, 0.013), 0.0016, darker(colour, 1.0), 0.55, cloth)
    canvas.stroke(edge + (0, 0.002), 0.002, lighter(colour, 0.5), 0.5, cloth)


def paint_collar(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    colour = rgb(CLOTHING_COLOURS[portrait.face.clothing_colour])
    for cloth in portrait.outlines("cloth"):
        canvas.cast(part.outline, canvas.stencil(cloth), (0.003, 0.008), 0.006, darker(colour, 1.0), 0.55)
    collar = canvas.stencil(part.outline)
    canvas.lay(collar, lighter(colour, 0.14 if part.side < 0 else 0.03))
    canvas.rim([part.outline], collar, 0.006, darker(colour, 1.0), 0.55)


def _hat_colour(portrait: Portrait) -> Colour:
    return rgb(CLOTHING_COLOURS[portrait.face.hat_colour or "black"])


def paint_hat(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    """Any piece of a hat as a rounded body; knits get ribs, caps seams, bands a darker tone."""
    colour = _hat_colour(portrait)
    base = {"band": darker(colour, 0.6), "cuff": lighter(colour, 0.10), "brim": lighter(colour, 0.05)}.get(
        part.kind, colour
    )
    for hair in portrait.outlines("front hair") if part.kind in ("cuff", "brim", "visor", "band") else ():
        shadow = darker(darker(base, 1.0), 0.6)
        canvas.cast(part.outline, canvas.stencil(hair), (0.004, 0.016), 0.010, shadow, 0.45)
    hat = canvas.stencil(part.outline)
    x, y = part.outline.mean(0)
    canvas.lay(hat, base)
    canvas.glow((x - 0.09, y - 0.05), (0.11, 0.07), lighter(base, 0.4), 0.65, hat)
    canvas.glow((x + 0.2, y + 0.04), (0.12, 0.13), darker(base, 0.9), 0.6, hat)
    canvas.rim([part.outline], hat, 0.009, darker(base, 1.0), 0.6)
    texture = {"knit": _knit, "cuff": _knit, "panels": _panels, "bobble": _knit}.get(part.kind)
    if texture:
        texture(canvas, hat, part.outline, base)
    if part.kind in ("brim", "visor"):
        canvas.cast(part.outline, hat, (0.0, -0.03), 0.006, lighter(base, 0.35), 0.3)


def _knit(canvas: Canvas, hat: Stencil, outline: Curve, colour: Colour) -> None:
    """Ribs that meet at the crown."""
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    middle, half = (left + right) / 2, (right - left) / 2
    for u in np.linspace(-0.92, 0.92, 13):
        rib = smooth(
            [
                (middle + 0.86 * u * half, top - 0.01),
                (middle + 1.0 * u * half, (top + bottom) / 2),
                (middle + u * half, bottom),
            ]
        )
        canvas.stroke(rib, 0.0022, darker(colour, 1.0), 0.32, hat)
        canvas.stroke(rib - (0.006, 0), 0.0018, lighter(colour, 0.5), 0.22, hat)


def _panels(canvas: Canvas, hat: Stencil, outline: Curve, colour: Colour) -> None:
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    middle, half = (left + right) / 2, (right - left) / 2
    for u in (-0.45, 0.0, 0.45):
        seam = smooth(
            [
                (middle, top),
                (middle + 0.8 * u * half, top + 0.3 * (bottom - top)),
                (middle + u * half * 1.1, bottom),
            ]
        )
        canvas.stroke(seam, 0.0018, darker(colour, 1.0), 0.5, hat)
    canvas.fill(ellipse((middle, top + 0.004), (0.016, 0.009)), darker(colour, 0.5))


def paint_lens(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    """The frame is a ring, a tenth of the lens wide. The glass is almost transparent."""
    colour = rgb(GLASSES_COLOURS[portrait.face.glasses or "black"])
    middle = part.outline.mean(0)
    for face in portrait.outlines("face"):
        canvas.cast(part.outline, canvas.stencil(face), (0.003, 0.010), 0.005, rgb((110, 60, 56)), 0.22)
    width = float(np.ptp(part.outline[:, 0]))
    inner = middle + (part.outline - middle) * (1 - 2 * 0.0085 / width)
    lens, glass = canvas.stencil(part.outline), canvas.stencil(inner)
    canvas.lay(glass, rgb((226, 240, 250)), 0.30)
    for shift, wide in ((-0.2, 0.10), (0.02, 0.045)):
        x = middle[0] + shift * width
        streak = [(x, middle[1] - 0.08), (x + wide * width, middle[1] - 0.08),
                  (x + wide * width - 0.05, middle[1] + 0.08), (x - 0.05, middle[1] + 0.08)]  # fmt: skip
        canvas.fill(streak, rgb((255, 255, 255)), 0.35, glass)
    ring = without(lens, glass)
    canvas.lay(
        ring,
        canvas.gradient(ring, [middle - 0.05, middle + 0.05], (lighter(colour, 0.25), darker(colour, 0.3))),
    )


def paint_bridge(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    colour = rgb(GLASSES_COLOURS[portrait.face.glasses or "black"])
    bar = canvas.stencil(part.outline)
    canvas.lay(bar, colour)
    canvas.rim([part.outline], bar, 0.004, darker(colour, 0.8), 0.5)


def paint_earring(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    jewel = canvas.stencil(part.outline)
    (x, y), (wide, high) = part.outline.mean(0), np.ptp(part.outline, axis=0) / 2
    canvas.lay(jewel, darker(_GOLD, 0.1))
    canvas.rim([part.outline], jewel, 0.005, darker(_GOLD, 1.0), 0.7)
    canvas.fill(ellipse((x - 0.3 * wide, y - 0.35 * high), (0.3 * wide, 0.25 * high)), rgb((255, 246, 214)), 0.9)
    if portrait.anatomy.body.earring == "hoop":
        canvas.fill(ellipse((x, y + 0.05 * high), (0.55 * wide, 0.62 * high)), darker(_GOLD, 1.0), 0.55)


def paint_necklace(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    beads = portrait.anatomy.body.necklace == "beads"
    for neck in portrait.outlines("neck"):
        canvas.cast(part.outline, canvas.stencil(neck), (0.002, 0.008), 0.005, rgb((90, 44, 40)), 0.4)
    colour = rgb((244, 238, 230)) if beads else _GOLD
    chain = canvas.stencil(part.outline)
    canvas.lay(chain, darker(colour, 0.35 if beads else 0.5))
    links = resample(necklace_line(portrait.anatomy), 17 if beads else 33)[1:-1]
    r = 0.0095 if beads else 0.005
    canvas.lay(canvas.stencil(*(ellipse(link, (r, r), 14) for link in links)), mix(colour, rgb((255, 255, 255)), 0.1))
    glints = [ellipse(link - 0.3 * r, (0.4 * r, 0.4 * r), 10) for link in links]
    canvas.lay(canvas.stencil(*glints), rgb((255, 255, 255)), 0.85)


def paint_pendant(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    gem = canvas.stencil(part.outline)
    x, y = part.outline.mean(0)
    canvas.lay(gem, _GOLD)
    canvas.rim([part.outline], gem, 0.004, darker(_GOLD, 1.0), 0.7)
    canvas.fill(ellipse((x - 0.004, y - 0.005), (0.005, 0.005)), rgb((255, 248, 220)), 0.9)
