"""A picture under paint: soft-edged fills, strokes, glows and cast shadows on floating-point RGB."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import Curve, Points, ribbon

Colour: TypeAlias = NDArray[np.float32]
"""RGB in 0..1: (3, 1, 1), or (3, h, w) for a colour that changes over the picture."""

_BITS = 6


@dataclass(frozen=True)
class Stencil:
    """How much of each pixel a shape covers: `alpha` (h, w) at `top`, `left` of the canvas."""

    top: int
    left: int
    alpha: NDArray[np.float32]

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def rgb(colour: Sequence[int]) -> Colour:
    """0..255 to 0..1."""
    return (np.asarray(colour, dtype=float) / 255).astype(np.float32).reshape(3, 1, 1)


def mix(a: Colour, b: Colour, share: float | NDArray[np.float32]) -> Colour:
    """`a` with a share of `b`."""
    return np.asarray(a + (b - a) * np.float32(share), dtype=np.float32)


_SHADOW, _LIGHT = rgb((46, 20, 52)), rgb((255, 246, 226))


def darker(colour: Colour, share: float) -> Colour:
    """The colour mixed with a warm dark violet, since a painting's shadows are never grey."""
    return mix(colour, colour * mix(_SHADOW, rgb((255, 255, 255)), 0.25), share)


def lighter(colour: Colour, share: float) -> Colour:
    """The colour mixed with a warm white."""
    return mix(colour, _LIGHT, share)


class Canvas:
    """Square of `size` pixels that painters lay colour on. Places are points of the unit square.

    `pixels` is (3, size, size): numpy is several times faster on planes than on interleaved colours.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.pixels: NDArray[np.float32] = np.zeros((3, size, size), np.float32)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        """Fixed-point pixel coordinates for OpenCV: a pixel's middle is a whole number there."""
        grid = np.asarray(points, dtype=float) * self.size - 0.5
        return np.asarray(np.round(grid * (1 << _BITS)), dtype=np.int32)

    def _window(self, curves: Sequence[Points], margin: int) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of the curves' pixels, within the canvas."""
        points = np.concatenate([np.asarray(curve, dtype=float) for curve in curves]) * self.size
        (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
        left, top = (min(max(int(a) - margin, 0), self.size - 1) for a in (x0, y0))
        right, bottom = (min(max(int(a) + 1 + margin, 1), self.size) for a in (x1, y1))
        return top, max(bottom, top + 1), left, max(right, left + 1)

    def _places(self, first: int, count: int) -> NDArray[np.float32]:
        """The middles of `count` pixels from `first` on, in the unit square."""
        return ((np.arange(first, first + count) + 0.5) / self.size).astype(np.float32)

    def stencil(self, *outlines: Points, blur: float = 0.0) -> Stencil:
        """The union of closed outlines; `blur` is the standard deviation of a soft edge."""
        sigma = blur * self.size
        top, bottom, left, right = self._window(outlines, 2 + int(2.5 * sigma))
        mask = np.zeros((bottom - top, right - left), np.uint8)
        origin = np.array([left, top], np.int32) << _BITS
        for outline in outlines:
            cv2.fillPoly(mask, [self._fixed(outline) - origin], 255, cv2.LINE_AA, _BITS)
        return Stencil(top, left, _soft(mask, sigma))

    def threads(self, curves: Iterable[Points], width: float = 0.0, blur: float = 0.0) -> Stencil:
        """Many thin open lines in one stencil, at least one pixel wide."""
        lines = [self._fixed(curve) for curve in curves]
        mask = np.zeros((self.size, self.size), np.uint8)
        cv2.polylines(mask, lines, False, 255, max(1, round(width * self.size)), cv2.LINE_AA, _BITS)
        return Stencil(0, 0, _soft(mask, blur * self.size))

    def lay(self, stencil: Stencil, colour: Colour, opacity: float = 1.0) -> None:
        """Colour over the stencil; a (3, h, w) colour has the stencil's height and width."""
        rows, columns = stencil.window
        under = self.pixels[:, rows, columns]
        under += (colour - under) * (stencil.alpha * np.float32(opacity))

    def fill(self, outline: Points, colour: Colour, opacity: float = 1.0, within: Stencil | None = None) -> None:
        """A closed outline in one colour."""
        self.lay(self._clipped(self.stencil(outline), within), colour, opacity)

    def stroke(
        self,
        line: Curve,
        width: float | Sequence[float],
        colour: Colour,
        opacity: float = 1.0,
        within: Stencil | None = None,
        blur: float = 0.0,
    ) -> None:
        """A brush stroke of the given half widths, spread evenly along the line."""
        self.lay(self._clipped(self.stencil(ribbon(line, width), blur=blur), within), colour, opacity)

    def glow(
        self,
        centre: tuple[float, float] | Curve,
        radii: tuple[float, float],
        colour: Colour,
        opacity: float,
        within: Stencil,
    ) -> None:
        """A Gaussian patch of colour with these standard deviations, inside the stencil."""
        reach = np.array([centre - 2.8 * np.asarray(radii), centre + 2.8 * np.asarray(radii)])
        part = _cropped(within, *self._window([reach], 0))
        x = (self._places(part.left, part.alpha.shape[1]) - centre[0]) / radii[0]
        y = (self._places(part.top, part.alpha.shape[0]) - centre[1]) / radii[1]
        patch = np.exp(-0.5 * y**2)[:, None] * np.exp(-0.5 * x**2)
        self.lay(Stencil(part.top, part.left, part.alpha * patch), colour, opacity)

    def cast(
        self,
        outline: Points,
        onto: Stencil,
        shift: tuple[float, float],
        blur: float,
        colour: Colour,
        opacity: float,
    ) -> None:
        """The soft shadow of a shape, moved by `shift`, on what the stencil covers."""
        shadow = self.stencil(np.asarray(outline, dtype=float) + np.asarray(shift), blur=blur)
        height, width = shadow.alpha.shape
        under = _cropped(onto, shadow.top, shadow.top + height, shadow.left, shadow.left + width)
        self.lay(self._clipped(under, shadow), colour, opacity)

    def rim(self, outlines: Sequence[Points], stencil: Stencil, width: float, colour: Colour, opacity: float) -> None:
        """A soft darkening inside the stencil towards the edge of the outlines' union: makes it round."""
        inside = self.stencil(*outlines, blur=width)
        self.lay(without(stencil, inside), colour, opacity)

    def gradient(self, stencil: Stencil, start: Points, colours: tuple[Colour, Colour]) -> Colour:
        """Colours (h, w, 3) that change along the line between the two points of `start`."""
        (x0, y0), (x1, y1) = np.asarray(start, dtype=float)
        height, width = stencil.alpha.shape
        dx, dy = (x1 - x0), (y1 - y0)
        x, y = self._places(stencil.left, width) - x0, self._places(stencil.top, height) - y0
        along = (y[:, None] * dy + x * dx) / (dx**2 + dy**2)
        return mix(colours[0], colours[1], np.clip(along, 0, 1).astype(np.float32))

    def _clipped(self, stencil: Stencil, within: Stencil | None) -> Stencil:
        if within is None:
            return stencil
        return Stencil(stencil.top, stencil.left, stencil.alpha * _moved(within, stencil))


def _soft(mask: NDArray[np.uint8], sigma: float) -> NDArray[np.float32]:
    """0..255 to 0..1 (h, w), blurred where `sigma` (pixels) is worth it."""
    # Two box filters of width k have the variance 2 (k^2 - 1) / 12. That is nearly a Gaussian, and much faster.
    width = 2 * round((math.sqrt(6 * sigma**2 + 1) - 1) / 2) + 1
    for _ in range(2 if width > 1 else 0):
        mask = np.asarray(cv2.blur(mask, (width, width)), dtype=np.uint8)
    return np.multiply(mask, 1 / 255, dtype=np.float32)


def _moved(stencil: Stencil, to: Stencil) -> NDArray[np.float32]:
    """The first stencil's coverage in the second's window, 0 outside its own."""
    alpha = np.zeros_like(to.alpha)
    top, left = max(stencil.top, to.top), max(stencil.left, to.left)
    bottom = min(stencil.top + stencil.alpha.shape[0], to.top + to.alpha.shape[0])
    right = min(stencil.left + stencil.alpha.shape[1], to.left + to.alpha.shape[1])
    if bottom > top and right > left:
        alpha[top - to.top : bottom - to.top, left - to.left : right - to.left] = stencil.alpha[
            top - stencil.top : bottom - stencil.top, left - stencil.left : right - stencil.left
        ]
    return alpha


def _cropped(stencil: Stencil, top: int, bottom: int, left: int, right: int) -> Stencil:
    """The stencil within a window; its alpha is empty where they do not meet."""
    top, left = max(top, stencil.top), max(left, stencil.left)
    alpha = stencil.alpha[
        top - stencil.top : max(0, bottom - stencil.top), left - stencil.left : max(0, right - stencil.left)
    ]
    return Stencil(top, left, alpha)


def without(stencil: Stencil, hole: Stencil) -> Stencil:
    """The part of the first stencil that the second leaves free."""
    return Stencil(stencil.top, stencil.left, stencil.alpha * (1 - _moved(hole, stencil)))


def shrunk(pixels: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """The finished picture (size, size, 3) in 0..255, each pixel the mean of the finer ones under it."""
    picture = cv2.resize(np.ascontiguousarray(pixels.transpose(1, 2, 0)), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), dtype=np.uint8)
