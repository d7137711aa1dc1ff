"""Paints what is skin: neck, ears, face, and nose, mouth, eyes and brows in it."""

from __future__ import annotations

import numpy as np

from .attributes import EYE_COLOURS, HAIR_COLOURS, LIPSTICK_COLOURS, SKIN_TONES, Attributes
from .canvas import Canvas, Colour, Stencil, darker, lighter, mix, rgb
from .drawing import Part, Portrait
from .features import brow_line, lids, mouth_edges
from .geometry import Curve, ellipse, smooth

_WARM = rgb((214, 96, 82))
_WHITE = rgb((250, 247, 242))


def skin_colour(face: Attributes) -> Colour:
    return rgb(SKIN_TONES[face.skin_tone])


def _warm_shade(skin: Colour, share: float) -> Colour:
    """Skin in shadow: darker and redder, since light comes through it."""
    return mix(darker(skin, share), skin * _WARM, 0.35 * share)


def _gloss(skin: Colour) -> float:
    """How strong highlights may be. Dark skin needs fainter ones, or it looks wet."""
    return 0.3 + 0.45 * float(skin.mean())


def paint_neck(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    skin, body = skin_colour(portrait.face), portrait.anatomy.body
    neck = canvas.stencil(part.outline)
    canvas.lay(neck, _warm_shade(skin, 0.16))
    canvas.glow((body.x - 0.12, 0.93), (0.14, 0.05), lighter(skin, 0.15), 0.5, neck)
    canvas.rim([part.outline], neck, 0.012, _warm_shade(skin, 0.7), 0.6)
    for outline in portrait.outlines("face"):
        canvas.cast(outline, neck, (0.012, 0.05), 0.016, _warm_shade(skin, 0.75), 0.75)
    for side in (-1, 1):
        bone = smooth([(body.x + side * 0.02, 0.905), (body.x + side * 0.07, 0.899), (body.x + side * 0.16, 0.909)])
        canvas.stroke(bone, (0.001, 0.003, 0.0005), _warm_shade(skin, 0.7), 0.5, neck)


def paint_ear(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    skin = skin_colour(portrait.face)
    ear = canvas.stencil(part.outline)
    canvas.lay(ear, _warm_shade(skin, 0.22))
    middle, scale = part.outline.mean(0), portrait.anatomy.head.scale
    canvas.rim([part.outline], ear, 0.007, _warm_shade(skin, 0.8), 0.6)
    fold = [(0.02, -0.2), (0.075, -0.12), (0.06, 0.02), (0.0, 0.14)]
    line = smooth(np.array(fold) * (part.side * scale, scale) + middle)
    canvas.stroke(line, (0.001, 0.0045, 0.001), _warm_shade(skin, 0.95), 0.55, ear)


def paint_face(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    skin, frame, f = skin_colour(portrait.face), portrait.anatomy.head, portrait.anatomy.features
    face = canvas.stencil(part.outline)
    shade, scale = _warm_shade(skin, 0.6), frame.scale
    canvas.lay(face, skin)
    canvas.glow((frame.x + 1.25 * scale, frame.y + 0.7 * scale), (0.75 * scale, 1.2 * scale), shade, 0.6, face)
    for u, v, wide, high, strength in (
        (-0.25, -0.6, 0.42, 0.3, 0.4),
        (-0.5, 0.42, 0.22, 0.2, 0.35),
        (0, 1.3, 0.16, 0.09, 0.25),
    ):
        at = frame.feature([(u, v)])[0]
        canvas.glow(at, (wide * scale, high * scale), lighter(skin, 0.55), strength * 1.3 * _gloss(skin), face)
    canvas.rim([part.outline], face, 0.014, _warm_shade(skin, 0.75), 0.55)
    _blush(canvas, face, portrait)
    for side in (-1, 1):
        socket = frame.feature([(side * f.eye_distance, -0.13)])[0]
        canvas.glow(socket, (0.23 * scale, 0.12 * scale), shade, 0.42, face)
    for line in portrait.creases.skin:
        canvas.stroke(line, (0.001, 0.005, 0.001), _warm_shade(skin, 1.0), 0.6, face)
    canvas.glow(frame.feature([(0.0, f.mouth_height + 0.24)])[0], (0.2 * scale, 0.045 * scale), shade, 0.5, face)
    for outline in portrait.outlines("front hair", "cuff", "brim", "visor", "puff", "band"):
        canvas.cast(outline, face, (0.005, 0.02), 0.011, _warm_shade(skin, 0.9), 0.5)


def _blush(canvas: Canvas, face: Stencil, portrait: Portrait) -> None:
    skin, frame = skin_colour(portrait.face), portrait.anatomy.head
    rosy = mix(skin * rgb((255, 190, 180)), _WARM, 0.45)
    for side in (-1, 1):
        cheek = frame.feature([(side * 0.56, 0.50)])[0]
        canvas.glow(cheek, (0.22 * frame.scale, 0.16 * frame.scale), rosy, 0.15 + 0.4 * _gloss(skin), face)


def paint_nose(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    skin, frame, f = skin_colour(portrait.face), portrait.anatomy.head, portrait.anatomy.features
    nose = canvas.stencil(part.outline, blur=0.004)
    n, w, shade = f.nose_length, f.nose_width, _warm_shade(skin, 0.8)

    def on(points: list[tuple[float, float]]) -> Curve:
        return frame.feature(smooth(points), 0.22)

    lit = -1.0 if frame.yaw <= 0.12 else 1.0  # the side that is turned away from us is the dark one
    canvas.lay(nose, mix(skin, _WARM, 0.10), 0.45)
    canvas.stroke(
        on([(-lit * 0.09, 0.0), (-lit * 0.11, 0.25), (-lit * 0.8 * w, n - 0.1)]),
        (0.002, 0.009, 0.006),
        shade,
        0.32,
        None,
        0.004,
    )
    tip = frame.feature([(lit * 0.03, n - 0.05)], 0.28)[0]
    canvas.glow(tip, (0.28 * w * frame.scale, 0.08 * frame.scale), lighter(skin, 0.6), _gloss(skin), nose)
    ridge = frame.feature([(lit * 0.02, 0.2)], 0.15)[0]
    canvas.glow(ridge, (0.035 * frame.scale, 0.16 * frame.scale), lighter(skin, 0.6), 0.7 * _gloss(skin), nose)
    under = [(-w, n - 0.03), (-0.75 * w, n + 0.07), (-0.3 * w, n + 0.06), (0.0, n + 0.11),
             (0.3 * w, n + 0.06), (0.75 * w, n + 0.07), (w, n - 0.03)]  # fmt: skip
    canvas.stroke(on(under), (0.001, 0.004, 0.003, 0.004, 0.001), _warm_shade(skin, 1.0), 0.6)
    for side in (-1, 1):
        nostril = on([(side * 0.22 * w, n + 0.055), (side * 0.5 * w, n + 0.03), (side * 0.68 * w, n + 0.055)])
        canvas.stroke(nostril, (0.0015, 0.0045, 0.0015), darker(shade, 0.9), 0.75)


def lip_colour(face: Attributes) -> Colour:
    if face.lipstick:
        return rgb(LIPSTICK_COLOURS[face.lipstick])
    return mix(skin_colour(face) * rgb((236, 176, 168)), _WARM, 0.38)


def paint_upper_lip(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    colour = lip_colour(portrait.face)
    canvas.fill(part.outline, darker(colour, 0.42))
    edges, frame = mouth_edges(portrait.anatomy.features), portrait.anatomy.head
    dark = darker(darker(colour, 1.0), 0.7)
    canvas.stroke(frame.feature(edges.upper_edge, 0.1), (0.003, 0.0022, 0.0028, 0.0022, 0.003), dark, 0.8)


def paint_lower_lip(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    colour, frame = lip_colour(portrait.face), portrait.anatomy.head
    lip = canvas.stencil(part.outline)
    canvas.lay(lip, colour)
    edges = mouth_edges(portrait.anatomy.features)
    middle = frame.feature((edges.lower_edge + edges.bottom) / 2, 0.1)
    shine = 0.75 if portrait.face.lipstick else 0.45
    canvas.stroke(middle[3:8], (0.001, 0.005, 0.001), lighter(colour, 0.75), shine, lip)
    canvas.rim([part.outline], lip, 0.006, darker(colour, 0.9), 0.5)
    canvas.stroke(frame.feature(edges.lower_edge, 0.1), 0.0018, darker(colour, 1.0), 0.7)


def paint_mouth(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    edges, frame, f = mouth_edges(portrait.anatomy.features), portrait.anatomy.head, portrait.anatomy.features
    mouth = canvas.stencil(part.outline)
    canvas.lay(mouth, rgb((94, 26, 34)))
    tongue = frame.feature(
        ellipse((0.0, f.mouth_height + 0.85 * f.opening), (0.6 * f.mouth_width, 0.5 * f.opening)), 0.1
    )
    canvas.fill(tongue, rgb((206, 96, 96)), 0.9, mouth)
    teeth = np.concatenate([edges.upper_edge, (edges.upper_edge + (0, 0.42 * f.opening))[::-1]])
    canvas.fill(frame.feature(teeth * (0.9, 1), 0.1), _WHITE, 0.95, mouth)
    canvas.rim([part.outline], mouth, 0.006, rgb((60, 14, 24)), 0.6)


def paint_eye(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    f, frame, side = portrait.anatomy.features, portrait.anatomy.head, part.side
    eye = canvas.stencil(part.outline)
    canvas.lay(eye, rgb((246, 241, 236)))
    _iris(canvas, eye, portrait, side)
    upper, lower = lids(f, side)
    canvas.cast(frame.feature(upper), eye, (0.0, 0.006), 0.004, rgb((92, 70, 92)), 0.55)
    skin = skin_colour(portrait.face)
    lash = rgb((44, 28, 32))
    heavy = 1.25 if portrait.face.subject == "woman" else 0.95
    line = frame.feature(np.concatenate([upper, upper[-1:] + (side * 0.05, -0.035)]))
    canvas.stroke(line, [heavy * width for width in (0.0015, 0.0042, 0.0052, 0.0058, 0.001)], lash, 0.92)
    canvas.stroke(frame.feature(lower[3:]), (0.0004, 0.0014, 0.0018), mix(lash, _warm_shade(skin, 1.0), 0.5), 0.65)
    crease = frame.feature(upper * (1, 1) + (0, -0.075))[2:]
    canvas.stroke(crease, (0.0006, 0.0022, 0.0006), _warm_shade(skin, 1.0), 0.5)


def _iris(canvas: Canvas, eye: Stencil, portrait: Portrait, side: int) -> None:
    f, frame = portrait.anatomy.features, portrait.anatomy.head
    colour = rgb(EYE_COLOURS[portrait.face.eye_colour])
    centre = (side * f.eye_distance + 0.25 * f.eye_width * f.gaze[0], -0.022 + 0.3 * f.eye_height * f.gaze[1])
    x, y = frame.feature([centre])[0]
    r = 0.118 * frame.scale
    canvas.fill(ellipse((x, y), (r, r)), darker(colour, 1.0), 1.0, eye)
    canvas.fill(ellipse((x, y), (0.84 * r, 0.84 * r)), colour, 1.0, eye)
    canvas.glow((x, y + 0.5 * r), (0.5 * r, 0.35 * r), lighter(colour, 0.6), 0.8, eye)
    canvas.fill(ellipse((x, y), (0.46 * r, 0.46 * r)), rgb((22, 16, 20)), 1.0, eye)
    canvas.fill(ellipse((x - 0.36 * r, y - 0.4 * r), (0.27 * r, 0.27 * r)), _WHITE, 0.95, eye)
    canvas.fill(ellipse((x + 0.4 * r, y + 0.42 * r), (0.13 * r, 0.13 * r)), _WHITE, 0.6, eye)


def paint_brow(canvas: Canvas, part: Part, portrait: Portrait) -> None:
    hair = rgb(HAIR_COLOURS[portrait.face.hair_colour])
    colour = mix(darker(hair, 0.75), rgb((70, 44, 36)), 0.35)
    brow = canvas.stencil(part.outline, blur=0.0018)
    canvas.lay(brow, colour, 0.9)
    f, frame = portrait.anatomy.features, portrait.anatomy.head
    along = frame.feature(brow_line(f, part.side))
    canvas.stroke(
        along + (0, 0.15 * f.brow_thickness * frame.scale),
        (0.001, 0.003, 0.001),
        darker(colour, 0.8),
        0.5,
        brow,
    )
