"""Paintings: a label map and a pencil drawing as one line of text, which the painter's widget keeps in the workflow.

    mogle1:512x512:eJzt...          version, width x height, base64 of the deflated ids, row by row from the top
    mogle2:512x512:eJzt...:eJxj...  the same, then the pencil's grey levels: 255 for a full line, 0 for no line
    mogle2:512x512::eJxj...         a pencil drawing without a label map

A painting without a pencil drawing has version 1. An empty text is an empty painting. A face of 512 x 512 takes about
5 kB. `web/painter/map/codec.mjs` reads and writes the same format in the browser. The text is never trusted, because
it comes in workflows that people share.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass

import torch
from torch import Tensor

from .decode import MaskError
from .decouple import resize
from .labels import NUM_CLASSES

GRID = 16
"""Sides are multiples of this: the pixels along one side of a token of FLUX.1."""

MIN_SIDE, MAX_SIDE = 16, 4096

_PACKED = r"[A-Za-z0-9+/]+={0,2}"
_SIZE = r"([0-9]{1,5})x([0-9]{1,5})"
_FORM = re.compile(rf"(?:mogle1:{_SIZE}:({_PACKED})|mogle2:{_SIZE}:({_PACKED})?:({_PACKED}))")
_VERSION = re.compile(r"mogle([0-9]{1,9}):")
_AGAIN = "Open Mask Painter and paint it again, or empty its widget."


@dataclass(frozen=True)
class Painting:
    """What a widget's value holds: at least one of the two planes, each (H, W) uint8."""

    ids: Tensor | None
    """Class ids, or None if no label map was painted."""
    pencil: Tensor | None
    """Grey levels, 255 for a full line, or None if nothing was drawn with the pencil."""


def read_planes(text: object) -> Painting | None:
    """The planes that a widget's value holds, or None if nothing was painted or drawn.

    Never unpacks more than width * height bytes for a plane. Raises MaskError for any other text: another form or
    version, a size that is not allowed, damaged or missing pixels, ids above 18.
    """
    if not isinstance(text, str):
        raise MaskError(f"The painting is {type(text).__name__}, not text. {_AGAIN}")
    if not text.strip():
        return None
    parts = _FORM.fullmatch(text.strip())
    if parts is None:
        raise MaskError(_form_complaint(text.strip()))
    width, height = int(parts[1] or parts[4]), int(parts[2] or parts[5])
    _check_side("wide", width)
    _check_side("high", height)
    ids = _plane(parts[3] or parts[6], width, height)
    if ids is not None:
        _check_ids(ids)
    return Painting(ids, _plane(parts[7], width, height))


def read_painting(text: object) -> Tensor | None:
    """The ids (H, W) uint8 that a widget's value holds, or None if no label map was painted. Raises as read_planes."""
    painting = read_planes(text)
    return None if painting is None else painting.ids


def write_painting(ids: Tensor | None, pencil: Tensor | None = None) -> str:
    """The text of ids and pencil, each (H, W) uint8; "" for neither. Raises MaskError for what no painting can hold."""
    planes = [plane for plane in (ids, pencil) if plane is not None]
    if not planes:
        return ""
    for plane in planes:
        if plane.ndim != 2 or plane.dtype != torch.uint8:
            raise MaskError(f"A painting is (height, width) of torch.uint8, not {tuple(plane.shape)} of {plane.dtype}.")
    height, width = planes[0].shape
    if planes[-1].shape != planes[0].shape:
        raise MaskError(f"The pencil drawing is {tuple(planes[-1].shape)}, not {(height, width)} as the label map.")
    _check_side("wide", width)
    _check_side("high", height)
    if ids is not None:
        _check_ids(ids)
    if pencil is None:
        return f"mogle1:{width}x{height}:{_packed(planes[0])}"
    return f"mogle2:{width}x{height}:{'' if ids is None else _packed(ids)}:{_packed(pencil)}"


def sketch_of(pencil: Tensor) -> Tensor:
    """A pencil drawing (H, W) uint8 as a picture, white lines on black: (1, H, W, 3) in 0..1."""
    return (pencil.to(torch.float32) / 255)[None, ..., None].repeat(1, 1, 1, 3)


def on_grid(ids: Tensor) -> Tensor:
    """Ids (H, W) of any size, resized by nearest neighbour to the nearest size that a painting may have."""
    height, width = (min(max(round(side / GRID) * GRID, MIN_SIDE), MAX_SIDE) for side in ids.shape)
    return resize(ids[None], height, width)[0]


def _form_complaint(text: str) -> str:
    version = _VERSION.match(text)
    if version and int(version[1]) > 2:
        return f"The painting has version {version[1]}; this Mask Painter reads 1 and 2. Update ComfyUI-MoGLE."
    if version and int(version[1]) == 2:
        return f"The painting {text[:24]!r} is not of the form mogle2:WIDTHxHEIGHT:MAP:PENCIL. {_AGAIN}"
    return f"The painting begins with {text[:24]!r}, not with mogle1:WIDTHxHEIGHT: or mogle2:WIDTHxHEIGHT:. {_AGAIN}"


def _check_side(which: str, side: int) -> None:
    if not MIN_SIDE <= side <= MAX_SIDE or side % GRID:
        raise MaskError(
            f"The painting is {side} pixels {which}; sides are multiples of {GRID} from {MIN_SIDE} to {MAX_SIDE}. "
            "Choose another size in Mask Painter."
        )


def _check_ids(ids: Tensor) -> None:
    if int(ids.max()) >= NUM_CLASSES:
        raise MaskError(f"The painting holds id {int(ids.max())}; CelebAMask-HQ has 0 to 18. {_AGAIN}")


def _packed(plane: Tensor) -> str:
    return base64.b64encode(zlib.compress(plane.cpu().contiguous().numpy().tobytes(), 9)).decode()


def _plane(packed: str | None, width: int, height: int) -> Tensor | None:
    if not packed:
        return None
    pixels = bytearray(_unpacked(packed, width * height))
    return torch.frombuffer(pixels, dtype=torch.uint8).view(height, width)


def _unpacked(packed: str, size: int) -> bytes:
    """Unpack exactly `size` bytes. A text that holds fewer or more is refused; the rest is not unpacked."""
    inflate = zlib.decompressobj()
    try:
        pixels = inflate.decompress(base64.b64decode(packed, validate=True), size)
        # The stream's checksum comes after the last pixel, and is read only when one more byte is asked for.
        excess = inflate.decompress(inflate.unconsumed_tail, 1)
    except (binascii.Error, zlib.error) as error:
        raise MaskError(f"The painting is damaged ({error}). {_AGAIN}") from error
    if excess or len(pixels) != size or not inflate.eof or inflate.unused_data:
        raise MaskError(f"The painting does not hold the {size} pixels of its size: it was cut or changed. {_AGAIN}")
    return pixels
