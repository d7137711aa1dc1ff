"""Paintings: a label map as one line of text, which is how the painter's widget keeps it in the workflow.

    mogle1:512x512:eJzt...      version, width x height, base64 of the deflated ids, row by row from the top

An empty text is an empty painting. A face of 512 x 512 takes about 5 kB. `web/painter/map/codec.mjs` reads and
writes the same format in the browser. The text is never trusted, because it comes in workflows that people share.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib

import torch
from torch import Tensor

from .decode import MaskError
from .decouple import resize
from .labels import NUM_CLASSES

GRID = 16
"""Sides are multiples of this: the pixels along one side of a token of FLUX.1."""

MIN_SIDE, MAX_SIDE = 16, 4096

_FORM = re.compile(r"mogle1:([0-9]{1,5})x([0-9]{1,5}):([A-Za-z0-9+/]+={0,2})")
_AGAIN = "Open Mask Painter and paint it again, or empty its widget."


def read_painting(text: object) -> Tensor | None:
    """The ids (H, W) uint8 that a widget's value holds, or None if nothing was painted.

    Never unpacks more than width * height bytes. Raises MaskError for any other text: another form, a
    size that is not allowed, damaged or missing pixels, ids above 18.
    """
    if not isinstance(text, str):
        raise MaskError(f"The painting is {type(text).__name__}, not text. {_AGAIN}")
    if not text.strip():
        return None
    parts = _FORM.fullmatch(text.strip())
    if parts is None:
        raise MaskError(f"The painting begins with {text.strip()[:24]!r}, not with mogle1:WIDTHxHEIGHT:. {_AGAIN}")
    width, height = int(parts[1]), int(parts[2])
    _check_side("wide", width)
    _check_side("high", height)
    pixels = bytearray(_unpacked(parts[3], width * height))
    ids = torch.frombuffer(pixels, dtype=torch.uint8).view(height, width)
    _check_ids(ids)
    return ids


def write_painting(ids: Tensor) -> str:
    """The text of ids (H, W) uint8. Raises MaskError if a painting cannot hold them."""
    if ids.ndim != 2 or ids.dtype != torch.uint8:
        raise MaskError(f"A painting is (height, width) of torch.uint8, not {tuple(ids.shape)} of {ids.dtype}.")
    height, width = ids.shape
    _check_side("wide", width)
    _check_side("high", height)
    _check_ids(ids)
    packed = zlib.compress(ids.cpu().contiguous().numpy().tobytes(), 9)
    return f"mogle1:{width}x{height}:{base64.b64encode(packed).decode()}"


def on_grid(ids: Tensor) -> Tensor:
    """Ids (H, W) of any size, resized by nearest neighbour to the nearest size that a painting may have."""
    height, width = (min(max(round(side / GRID) * GRID, MIN_SIDE), MAX_SIDE) for side in ids.shape)
    return resize(ids[None], height, width)[0]


def _check_side(which: str, side: int) -> None:
    if not MIN_SIDE <= side <= MAX_SIDE or side % GRID:
        raise MaskError(
            f"The painting is {side} pixels {which}; sides are multiples of {GRID} from {MIN_SIDE} to {MAX_SIDE}. "
            "Choose another size in Mask Painter."
        )


def _check_ids(ids: Tensor) -> None:
    if int(ids.max()) >= NUM_CLASSES:
        raise MaskError(f"The painting holds id {int(ids.max())}; CelebAMask-HQ has 0 to 18. {_AGAIN}")


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
