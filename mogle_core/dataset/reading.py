"""A pair's files as arrays: upright RGB pictures, and label maps of CelebAMask-HQ's ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..masks.decode import LabelMap, MaskError, decode_image
from ..masks.labels import LABEL_SPACES, NUM_CLASSES, PALETTE
from .errors import DatasetError


def open_picture(path: Path) -> Image.Image:
    """A picture, upright and in RGB.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{path}: the picture cannot be read ({error}); replace it or take it out.") from error


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8; errors as `open_picture`."""
    return np.asarray(open_picture(path))


def read_mask(path: Path, label_space: str = "celebamask") -> LabelMap:
    """A mask's file, its ids (1, H, W) uint8 in CelebAMask-HQ's classes.

    Raises:
        DatasetError: it cannot be read, or is no label map of that space.
    """
    try:
        with Image.open(path) as image:
            return _indexed(image, label_space) or decode_image(image, label_space)
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{path}: the mask cannot be read ({error}); replace it or take it out.") from error
    except MaskError as error:
        raise DatasetError(f"{path}: {error}") from error


def _indexed(image: Image.Image, label_space: str) -> LabelMap | None:
    """An indexed picture in just the palette, without comparing colours, which takes most of a plan's time.

    It is what `decode_image` would say of it; None for every other picture.
    """
    if image.mode != "P" or label_space not in LABEL_SPACES or "transparency" in image.info:
        return None
    palette, table = image.getpalette() or [], LABEL_SPACES[label_space]
    if palette[: 3 * NUM_CLASSES] != [level for colour in PALETTE for level in colour]:
        return None
    ids = np.array(image)
    if int(ids.max()) >= min(NUM_CLASSES, len(table)):
        return None
    return LabelMap(torch.tensor(table, dtype=torch.uint8)[torch.from_numpy(ids).long()][None], label_space)
