"""Reading a stored face mask: from whatever a file or a ComfyUI IMAGE holds to a map of class ids.

Masks are stored as ids (a grey or an indexed picture) or as the palette's colours, and the ids may be those
of another parser. Whatever the storage, the result is CelebAMask-HQ's ids; the colours are painted anew from
them, because an id map fed as it is would be an almost black picture.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .label_space import likeliest_space
from .labels import CLASS_NAMES, LABEL_SPACES, NUM_CLASSES, PALETTE

logger = logging.getLogger(__name__)

TOLERANCE = 25.0
"""Euclidean RGB distance below which a colour still is a palette colour: under half of the palette's 51."""

MAX_OFF_PALETTE = 0.05
"""The share of pixels without a palette colour above which a picture is no label map."""

_UNKNOWN = 255
_STEPS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))


class MaskError(ValueError):
    """A mask that cannot be used, in a sentence that says what was found and what to change."""


class LabelMaps:
    """What label maps `ids` (B, H, W) have in common, wherever they are."""

    ids: Tensor

    @property
    def batch(self) -> int:
        return self.ids.shape[0]

    @property
    def height(self) -> int:
        return self.ids.shape[1]

    @property
    def width(self) -> int:
        return self.ids.shape[2]


@dataclass(frozen=True)
class LabelMap(LabelMaps):
    """Decoded masks: `ids` (B, H, W) uint8 in 0..18, and how they were stored.

    `label_space` is the space they were decoded from. Of all pixels, the share `snapped` had a colour near a
    palette colour, and the share `off_palette` had none and took the class of the nearest pixel that had.
    """

    ids: Tensor
    label_space: str
    snapped: float = 0.0
    off_palette: float = 0.0

    def summary(self) -> str:
        """Size, classes by falling share, label space and off-palette share in one line for a log."""
        shares = torch.bincount(self.ids.flatten().long(), minlength=NUM_CLASSES) / self.ids.numel()
        present = [c for c in shares.argsort(descending=True, stable=True).tolist() if shares[c] > 0]
        classes = ", ".join(f"{CLASS_NAMES[c]} {_percent(shares[c].item())}" for c in present)
        size = f"{self.width}x{self.height}" + (f" (batch of {self.batch})" if self.batch > 1 else "")
        return (
            f"{size}, {len(present)} of {NUM_CLASSES} classes: {classes}; label space {self.label_space}; "
            f"{_percent(self.off_palette)} off palette"
        )


def decode_image(image: Image.Image, label_space: str = "auto") -> LabelMap:
    """Decode one stored picture of any PIL mode to ids (1, H, W).

    Modes 1, L, I, I;16 and F hold raw ids; P holds ids or colours, whichever its palette says; all others
    hold palette colours, or ids as greys. Fully transparent pixels are background. For `label_space` see
    `decode_tensor`. Raises MaskError.
    """
    _check_space(label_space)
    if 0 in image.size:
        raise MaskError(f"The mask is empty ({image.width}x{image.height}): load a picture with pixels.")
    try:
        if image.mode in ("1", "F") or image.mode.startswith("I"):
            return _from_numbers(torch.from_numpy(np.array(image, dtype=np.float64))[None], label_space)
        picture = _opaque(image)
        if image.mode == "P" and not _speaks_in_colours(picture):
            indices = torch.from_numpy(np.array(image)).long()[None]
            # Beyond the ids an index means nothing: let the complaint be about the colours.
            if int(indices.max()) < NUM_CLASSES:
                return _from_ids(indices, label_space)
    except OSError as error:
        raise MaskError(f"The mask cannot be read ({error}): save or download it again.") from error
    return _from_picture(picture, label_space)


def decode_tensor(image: Tensor, label_space: str = "auto") -> LabelMap:
    """Decode a ComfyUI IMAGE (B, H, W, C), C in 1, 3, 4, or (B, H, W), floats in 0..1, to ids (B, H, W).

    A grey picture with no level above 18 of 255 holds raw ids: that is what LoadImage makes of an id map. Any
    other must hold palette colours. An explicit `label_space` maps ids, and colours by their place in the
    palette, through its table. With "auto", colours are CelebAMask-HQ's; for raw ids the space is a *guess*,
    by which of them looks most like a face (`plausibility`). Raises MaskError.
    """
    _check_space(label_space)
    _check_tensor(image)
    levels = (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    if levels.ndim == 3:
        levels = levels[..., None]
    rgb = levels[..., :3].expand(*levels.shape[:3], 3)
    return _from_picture(rgb * (levels[..., 3:] > 0) if levels.shape[-1] == 4 else rgb, label_space)


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


def _opaque(image: Image.Image) -> Tensor:
    """The picture's colours (1, H, W, 3) uint8, black where it is fully transparent."""
    if "transparency" not in image.info and not {"A", "a"} & set(image.getbands()):
        return torch.from_numpy(np.array(image.convert("RGB")))[None]
    rgba = torch.from_numpy(np.array(image.convert("RGBA")))[None]
    return rgba[..., :3] * (rgba[..., 3:] > 0)


def _is_grey(rgb: Tensor) -> bool:
    return bool((rgb == rgb[..., :1]).all())


def _speaks_in_colours(rgb: Tensor) -> bool:
    """Whether an indexed picture's colours say the classes, or are only there to be looked at."""
    if _is_grey(rgb):
        return int(rgb.max()) < NUM_CLASSES
    # Nearly every palette has black for the background, so only the other pixels tell.
    drawn = rgb[(rgb > 0).any(-1)]
    return bool((_nearest_classes(drawn)[0] == _UNKNOWN).float().mean() <= MAX_OFF_PALETTE)


def _from_picture(rgb: Tensor, label_space: str) -> LabelMap:
    if _is_grey(rgb):
        return _from_numbers(rgb[..., 0], label_space)
    return _from_colours(rgb, label_space)


def _from_numbers(values: Tensor, label_space: str) -> LabelMap:
    """Raw ids, once it is sure that they can be ids."""
    low, high = values.min().item(), values.max().item()
    if low < 0 or bool((values != values.round()).any()):
        raise MaskError(
            f"The mask holds numbers from {low:.4g} to {high:.4g} that are no ids; these are whole, 0 to 18."
        )
    if high < NUM_CLASSES:
        return _from_ids(values.long(), label_space)
    if bool(((values == low) | (values == high)).all()):
        raise MaskError(
            f"A black-and-white mask (values {low:.0f} and {high:.0f}) marks one region only; a label map of "
            "all the face's classes is needed. Paint the region into one with Set Region."
        )
    if high <= 2 * NUM_CLASSES:
        raise MaskError(
            f"A mask with ids up to {high:.0f}; CelebAMask-HQ has 0 to 18, and no known label space more. "
            "Map its classes to CelebAMask-HQ's before loading it."
        )
    raise MaskError(
        f"A grey mask with values up to {high:.0f}: ids run from 0 to 18. It looks like a colour mask that "
        "was turned to grey; save it in colour."
    )


def _from_ids(raw: Tensor, label_space: str) -> LabelMap:
    space = likeliest_space(raw) if label_space == "auto" else label_space
    if label_space == "auto":
        logger.info("Raw ids without a named label space: read as %s.", space)
    return LabelMap(_mapped(raw, space), space)


def _mapped(raw: Tensor, space: str) -> Tensor:
    table = LABEL_SPACES[space]
    highest = int(raw.max())
    if highest >= len(table):
        raise MaskError(
            f"The mask holds id {highest}, but label space {space} has {len(table)} ids, 0 to "
            f"{len(table) - 1}. Choose the label space of the parser that made it, or auto."
        )
    return torch.tensor(table, dtype=torch.uint8, device=raw.device)[raw.long()]


def _from_colours(rgb: Tensor, label_space: str) -> LabelMap:
    """Palette colours: exact ones as they are, near ones where they form an area, the rest by neighbours."""
    ids, exact = _nearest_classes(rgb)
    lost = ids == _UNKNOWN
    _check_lost(lost)
    if not bool(exact.all()):
        ids = _by_neighbours(ids, _trusted(ids, exact))
    snapped, off_palette = (~exact & ~lost).float().mean().item(), lost.float().mean().item()
    if off_palette > 0:
        logger.warning(
            "%s of the mask's pixels have no palette colour and take their neighbours' class. Resize masks "
            "by nearest neighbour and store them as PNG.",
            _percent(off_palette),
        )
    space = "celebamask" if label_space == "auto" else label_space
    return LabelMap(_mapped(ids, space), space, snapped, off_palette)


def _check_lost(lost: Tensor) -> None:
    share = lost.flatten(1).float().mean(1).max().item()
    if share > MAX_OFF_PALETTE:
        raise MaskError(
            f"{_percent(share)} of the mask's pixels have no colour of the CelebAMask-HQ palette (5 % may): "
            "this looks like a photo, or a mask that was resized smoothly or stored lossily. Use a label map "
            "in that palette, or parse the photo with Parse Face first."
        )


def _nearest_classes(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Class ids (...) uint8, 255 where no palette colour is within TOLERANCE, and whether they are exact."""
    red, green, blue = rgb.int().unbind(-1)
    packed = (red << 16 | green << 8 | blue).long()
    # A mask has few colours: only those that occur are compared, through a table of all 2^24.
    occurs = torch.zeros(1 << 24, dtype=torch.bool, device=rgb.device)
    occurs[packed.flatten()] = True
    colours = occurs.nonzero()[:, 0]
    distinct = torch.stack((colours >> 16, colours >> 8 & 255, colours & 255), -1).float()
    palette = torch.tensor(PALETTE, dtype=torch.float32, device=rgb.device)
    distance, nearest = torch.stack([(distinct - colour).norm(dim=-1) for colour in palette]).min(0)
    classes = torch.empty(1 << 24, dtype=torch.uint8, device=rgb.device)
    classes[colours] = torch.where(distance < TOLERANCE, nearest, _UNKNOWN).to(torch.uint8)
    occurs[colours] = distance == 0
    return classes[packed], occurs[packed]


def _trusted(ids: Tensor, exact: Tensor) -> Tensor:
    """Pixels inside some 3x3 square of one class, and exact ones that touch only exact ones.

    Halfway from cloth's green to black a blended edge passes through necklace's colour, now and then to the
    bit: a line too thin for such a square. What is drawn has width.
    """
    square = _highest(ids) == -_highest(-ids.float())
    return (_highest(square) > 0) | (_highest(~exact) == 0)


def _highest(values: Tensor) -> Tensor:
    """The largest of each pixel's 3x3 neighbourhood, (B, H, W) float32."""
    return torch.nn.functional.max_pool2d(values.float(), 3, stride=1, padding=1)


def _by_neighbours(ids: Tensor, trusted: Tensor) -> Tensor:
    filled = _fill(torch.where(trusted, ids, _UNKNOWN))
    # A picture too small to have a 3x3 square trusts nothing: its near colours have to do.
    return _fill(torch.where(filled == _UNKNOWN, ids, filled))


def _fill(ids: Tensor) -> Tensor:
    """Give each unknown pixel the class of its nearest known one, ring by ring, direct neighbours first."""
    ids = ids.clone()
    height, width = ids.shape[1:]
    item, row, column = (ids == _UNKNOWN).nonzero().unbind(1)
    while len(item):
        found = torch.full_like(item, _UNKNOWN, dtype=torch.uint8)
        for down, right in _STEPS:
            neighbour = ids[item, (row + down).clamp(0, height - 1), (column + right).clamp(0, width - 1)]
            found = torch.where(found == _UNKNOWN, neighbour, found)
        ids[item, row, column] = found
        unknown = found == _UNKNOWN
        if bool(unknown.all()):
            break
        item, row, column = item[unknown], row[unknown], column[unknown]
    return ids


def _percent(share: float) -> str:
    if share == 0 or share >= 0.01:
        return f"{share:.0%}".replace("%", " %")
    return "<0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
