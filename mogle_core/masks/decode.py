"""Reads a stored face mask, from a file or a ComfyUI IMAGE, into a map of class ids.

Masks are stored as ids (a grey or an indexed picture) or as colours of a palette, and the ids may be those of another
parser. The result is always CelebAMask-HQ's ids. The colours are painted from them again, because the network would
see an id map as an almost black picture. `id_reading` decides which numbers are ids, `colour_reading` which colours
are classes.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .channels import refuse_opacity
from .colour_reading import MAX_OFF_PALETTE, from_colours
from .errors import MaskError, about
from .id_reading import from_ids, from_numbers
from .label_map import LabelMap, LabelMaps
from .label_space import FEW_CLASSES, evidence, kept, layout, likeliest_space
from .labels import LABEL_SPACES, NUM_CLASSES
from .palettes import TOLERANCE

__all__ = ["MAX_OFF_PALETTE", "TOLERANCE", "LabelMap", "LabelMaps", "MaskError", "decode_image", "decode_tensor"]

logger = logging.getLogger(__name__)

_FACE = 0.6
"""The share of a space's relations from which an indexed picture's numbers are ids and not its colours' places."""

_LOSSY_IDS = 40
"""Grey levels up to which a lossily stored picture looks like ids, including compression noise."""


def decode_image(image: Image.Image, label_space: str = "auto") -> LabelMap:
    """Decode one stored picture of any PIL mode to ids (1, H, W), upright as its EXIF data says.

    Modes 1, L, I, I;16 and F hold raw ids. P holds colours of a known palette, or ids. All others hold palette
    colours, or ids as greys. Fully transparent pixels are background. For `label_space` see `decode_tensor`.
    Raises MaskError.
    """
    _check_space(label_space)
    if 0 in image.size:
        raise MaskError(f"The mask is empty ({image.width}x{image.height}): load a picture with pixels.")
    wide, lossy = _is_wide_colour(image), _is_lossy(image)
    try:
        if (pictures := getattr(image, "n_frames", 1)) > 1:
            logger.warning("%sThe mask's file holds %d pictures, of which the first is read.", about(), pictures)
        image = ImageOps.exif_transpose(image)
        if image.mode in ("1", "F") or image.mode.startswith("I"):
            return from_numbers(torch.from_numpy(_numbers(image))[None], label_space)
        picture = _opaque(image)
        if _has_transparency(image):
            refuse_opacity(picture, _opacity(image))
        if wide and int(picture.max()) == 0:
            raise MaskError(
                "The mask is a colour picture of 16 bits whose upper 8 bits are all 0; only those are read. Save its "
                "ids as a grey picture, or its palette colours with 8 bits."
            )
        if lossy and _is_grey(picture) and 0 < int(picture.max()) <= _LOSSY_IDS:
            raise MaskError(
                "The mask holds ids in a lossily compressed file (JPEG or WebP), which changes them near every edge. "
                "Save it as PNG when it is made; the ids cannot be restored from this file."
            )
        if image.mode == "P":
            indices = torch.from_numpy(np.array(image)).long()[None]
            return _from_indexed(indices * _visible(image), picture, label_space)
    except (OSError, SyntaxError, ValueError, OverflowError, Image.DecompressionBombError) as error:
        if isinstance(error, MaskError):
            raise
        raise MaskError(f"The mask cannot be read ({error}): save or download it again.") from error
    return _from_picture(picture, label_space)


def decode_tensor(image: Tensor, label_space: str = "auto") -> LabelMap:
    """Decode a ComfyUI IMAGE (B, H, W, C), C in 1, 3, 4, or (B, H, W), floats in 0..1, to ids (B, H, W).

    A grey picture with no level above 18 of 255 holds raw ids, as LoadImage returns an id map. Any other picture must
    hold colours of a known palette. An explicit `label_space` maps ids, and the colours' places in the palette,
    through its table. With "auto", colours have the classes of the parser whose palette they are in. For raw ids,
    "auto" *guesses* the space in which they look most like a face; it needs at least three classes for that. Raises
    MaskError.
    """
    _check_space(label_space)
    _check_tensor(image)
    levels = (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    if levels.ndim == 3:
        levels = levels[..., None]
    rgb = levels[..., :3].expand(*levels.shape[:3], 3)
    if levels.shape[-1] == 4:
        rgb = rgb * (levels[..., 3:] > 0)
        refuse_opacity(rgb, levels[..., 3])
    return _from_picture(rgb, label_space)


def _check_space(label_space: str) -> None:
    if label_space != "auto" and label_space not in LABEL_SPACES:
        raise MaskError(f"Label space {label_space!r} is unknown: choose auto or {', '.join(LABEL_SPACES)}.")


def _check_tensor(image: Tensor) -> None:
    shape = tuple(image.shape)
    if image.ndim not in (3, 4) or (image.ndim == 4 and shape[3] not in (1, 3, 4)):
        raise MaskError(f"A mask of shape {shape} was given; expected (batch, height, width, 1, 3 or 4).")
    if image.numel() == 0:
        raise MaskError(f"The mask is empty (shape {shape}): connect an IMAGE with at least one picture.")
    if not image.is_floating_point():
        raise MaskError(f"The mask holds {image.dtype}; an IMAGE holds floats from 0 to 1.")
    if not bool(torch.isfinite(image).all()):
        raise MaskError("The mask holds NaN or infinite values: the node that made it has failed.")
    low, high = image.min().item(), image.max().item()
    if low < -0.5 / 255 or high > 1 + 0.5 / 255:
        raise MaskError(
            f"The mask holds values from {low:.4g} to {high:.4g}; an IMAGE runs from 0 to 1. Divide 8-bit "
            "values by 255, and resize masks by nearest neighbour only."
        )


def _is_wide_colour(image: Image.Image) -> bool:
    """Whether a file holds 16-bit colours. Call this before loading it, since Pillow keeps only the upper 8 bits."""
    tiles = getattr(image, "tile", None) or []
    return image.mode in ("RGB", "RGBA") and any(";16" in str(tile[-1]) for tile in tiles)


def _is_lossy(image: Image.Image) -> bool:
    if image.format in ("JPEG", "MPO", "JPEG2000", "AVIF"):
        return True
    file = getattr(image, "fp", None)
    if image.format != "WEBP" or file is None:
        return False
    place = file.tell()
    file.seek(0)
    start: bytes = file.read(4096)
    file.seek(place)
    return b"VP8L" not in start


def _numbers(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    numbers = np.array(image, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise MaskError("The mask holds NaN or infinite numbers; ids are whole, 0 to 18.")
    return numbers


def _opaque(image: Image.Image) -> Tensor:
    """The picture's colours (1, H, W, 3) uint8; fully transparent pixels are black."""
    if not _has_transparency(image):
        return torch.from_numpy(np.array(image.convert("RGB")))[None]
    rgb = torch.from_numpy(np.array(image.convert("RGBA").convert("RGB")))[None]
    return rgb * _visible(image)[..., None]


def _visible(image: Image.Image) -> Tensor:
    """(1, H, W): the pixels that are not fully transparent."""
    if not _has_transparency(image):
        return torch.ones(1, image.height, image.width, dtype=torch.bool)
    return _opacity(image) > 0


def _opacity(image: Image.Image) -> Tensor:
    """(1, H, W) uint8 of a picture with transparency."""
    return torch.from_numpy(np.array(image.convert("RGBA").getchannel("A")))[None]


def _has_transparency(image: Image.Image) -> bool:
    return "transparency" in image.info or bool({"A", "a"} & set(image.getbands()))


def _is_grey(rgb: Tensor) -> bool:
    return bool((rgb == rgb[..., :1]).all())


def _from_picture(rgb: Tensor, label_space: str) -> LabelMap:
    if _is_grey(rgb):
        return from_numbers(rgb[..., 0], label_space)
    return from_colours(rgb, label_space)


def _from_indexed(indices: Tensor, rgb: Tensor, label_space: str) -> LabelMap:
    """Read an indexed picture: its colours are the classes, or its numbers are and the colours are only for display."""
    if not bool(rgb.any()) and bool(indices.any()):
        return _without_colours(indices, label_space)
    if _is_grey(rgb):
        levels = torch.unique(rgb[..., 0])
        by_level = int(levels.max()) < NUM_CLASSES or len(levels) <= 2 or not _is_ramp(indices, rgb[..., 0])
        return _from_picture(rgb, label_space) if by_level else _if_ids(indices, rgb, label_space)
    try:
        return from_colours(rgb, label_space)
    except MaskError as error:
        # Larger indices cannot be ids, so let the error be about the colours.
        if int(indices.max()) >= NUM_CLASSES or getattr(error, "palette", None):
            raise
        if label_space != "auto" or _makes_a_face(indices):
            return from_ids(indices, label_space)
        raise


def _without_colours(indices: Tensor, label_space: str) -> LabelMap:
    """Read an indexed picture whose palette is black throughout: only its numbers can tell the classes apart."""
    if int(indices.max()) < NUM_CLASSES and (label_space != "auto" or _makes_a_face(indices)):
        return from_ids(indices, label_space)
    raise MaskError(
        f"The mask is an indexed picture whose palette is black throughout, with numbers up to {int(indices.max())}. "
        "If these are class ids, choose their label space; otherwise save the mask with its palette."
    )


def _if_ids(indices: Tensor, rgb: Tensor, label_space: str) -> LabelMap:
    if int(indices.max()) < NUM_CLASSES:
        return from_ids(indices, label_space)
    return _from_picture(rgb, label_space)


def _is_ramp(indices: Tensor, levels: Tensor) -> bool:
    """Whether the grey levels rise with the indices."""
    pairs = torch.unique(torch.stack((indices.flatten(), levels.flatten().long()), 1), dim=0)
    return bool((pairs[1:] > pairs[:-1]).all())


def _makes_a_face(indices: Tensor) -> bool:
    """Whether index numbers, read as ids of the likeliest space, lie as a face's classes do."""
    if len(torch.unique(indices)) <= FEW_CLASSES + 1:
        return False
    relations = evidence(layout(indices).renamed(LABEL_SPACES[likeliest_space(indices)]))
    return bool(relations) and kept(relations) >= _FACE
