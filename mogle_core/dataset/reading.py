"""A pair's files as arrays: upright RGB pictures, and label maps of CelebAMask-HQ's ids."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..masks.decode import LabelMap, MaskError, decode_image
from ..masks.errors import warnings_of
from ..masks.label_map import mapped
from ..masks.labels import LABEL_SPACES, NUM_CLASSES, PALETTE
from .errors import DatasetError

UNREADABLE = (
    OSError, UnidentifiedImageError, SyntaxError, ValueError, OverflowError, KeyError, TypeError, struct.error,
    MemoryError, Image.DecompressionBombError,
)  # fmt: skip
"""The exceptions of Pillow's readers on damaged files."""

_ORIENTATION = 0x0112

_FEW_LEVELS = 32
"""Floating-point pictures with a smaller maximum are not rounded to 255 levels, which would make them almost black."""


def open_picture(path: Path) -> Image.Image:
    """A picture, upright and in RGB.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return _eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except UNREADABLE as error:
        raise DatasetError(f"{path}: the picture cannot be read ({error}); replace it or take it out.") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale a grey picture of 16 or 32 bits, because Pillow's conversion turns all levels above 255 white."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    levels = np.array(image, dtype=np.float64)
    if not np.isfinite(levels).all() or levels.min() < 0:
        raise ValueError("its grey levels are negative, infinite or NaN")
    highest = levels.max()
    if image.mode == "F" and 1 < highest < _FEW_LEVELS:
        raise ValueError(f"its levels go up to {highest:.4g}, expected 1 or 255; save it with 8 or 16 bits")
    white = 1.0 if image.mode == "F" and highest <= 1 else 255.0 if highest <= 255 and image.mode in "IF" else 65535.0
    if highest > white:
        raise ValueError(f"its grey levels go up to {highest:.0f}; 16 bits have 65535")
    return Image.fromarray((levels * (255 / white)).round().astype(np.uint8))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a picture as it is read, which its EXIF data may turn; the pixels are not loaded."""
    width, height = image.size
    # Asking a PNG without any for its EXIF data would load its pixels.
    noted = image.format in ("TIFF", "MPO") or {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"} & {
        *map(str, image.info)
    }
    return (height, width) if noted and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8) else (width, height)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8; raises the errors of `open_picture`."""
    return np.asarray(open_picture(path))


def read_mask(path: Path, label_space: str = "celebamask") -> LabelMap:
    """Read a mask's file as ids (1, H, W) uint8 of CelebAMask-HQ's classes.

    Raises:
        DatasetError: it cannot be read, or is not a label map of that space.
    """
    try:
        with Image.open(path) as image, warnings_of(path):
            return _indexed(image, label_space) or decode_image(image, label_space)
    except MaskError as error:
        raise DatasetError(f"{path}: {error}") from error
    except UNREADABLE as error:
        raise DatasetError(f"{path}: the mask cannot be read ({error}); replace it or take it out.") from error


def _indexed(image: Image.Image, label_space: str) -> LabelMap | None:
    """Read an indexed picture with exactly our palette without comparing colours, which would take most of a plan's
    time.

    The result is that of `decode_image`; None for every other picture.
    """
    if image.mode != "P" or label_space not in LABEL_SPACES or "transparency" in image.info:
        return None
    if image.getexif().get(_ORIENTATION, 1) != 1:
        return None
    palette, table = image.getpalette() or [], LABEL_SPACES[label_space]
    if palette[: 3 * NUM_CLASSES] != [level for colour in PALETTE for level in colour]:
        return None
    ids = np.array(image)
    if int(ids.max()) >= min(NUM_CLASSES, len(table)):
        return None
    return LabelMap(mapped(torch.from_numpy(ids)[None], label_space), label_space)
