"""Recognises class ids that are stored in a colour or opacity channel. Read as colours, they would all be one class."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import MaskError
from .palettes import TOLERANCE

DARK = 40
"""A picture whose brightest level is lower was not drawn in a palette: every palette has a level of at least 51."""

FLAT = 64
"""With at most this many distinct colours, nothing was blended, so even one 3x3 square counts as a region."""

SEVERAL, NEARLY_BLACK = 3, 0.005
"""If at least this many nearly black colours fill regions, with at least this share of the pixels, they are ids.

Lossily stored background also has such regions. JPEG's stay under 0.2 % of the picture, and those of WebP, down to
quality 20, stay under that share without the levels up to NOISE.
"""

NOISE = 3

LINE = 6
"""If at least this many colours of one class differ only by a number in the same channels, they are ids."""


def refuse_dark(rgb: Tensor) -> None:
    """Refuse pictures (B, H, W, 3) that look nearly black because they store ids in colour channels.

    Read by their colours, every pixel would be background.
    """
    brightest = rgb.flatten(1).amax(1)
    dark = (brightest > 0) & (brightest < DARK)
    if bool(dark.any()):
        raise MaskError(_dark(rgb[int(dark.nonzero()[0, 0])]))


def refuse_opacity(rgb: Tensor, opacity: Tensor) -> None:
    """Refuse pictures (B, H, W, 3) in which only the opacity (B, H, W) varies. All would be read as background."""
    differs = opacity.flatten(1).amax(1) != opacity.flatten(1).amin(1)
    if not bool((differs & (rgb.flatten(1).amax(1) == 0)).any()):
        return
    highest = int(opacity.max())
    looks = (
        f"It looks like class ids up to {highest} in the alpha channel: save that channel as a grey picture."
        if highest < DARK
        else "It marks one region only, by being opaque: save a label map of all the face's classes."
    )
    raise MaskError(f"The mask is black in every pixel; only its transparency differs. {looks}")


def refuse_several_blacks(rgb: Tensor, filling: Tensor, pixels: int) -> None:
    """Refuse several nearly black colours with regions: these are ids beside something bright, not one background.

    Args:
        rgb: the distinct colours (N, 3). filling: how many pixels of each (N,) are in regions of it.
        pixels: of the pictures.
    """
    brightest = rgb.amax(-1)
    least = 0 if len(rgb) <= FLAT else NOISE
    dark = (filling > 0) & (rgb.float().norm(dim=-1) < TOLERANCE) & (brightest > least)
    if int(dark.sum()) >= SEVERAL and int(filling[dark].sum()) > NEARLY_BLACK * pixels:
        some = ", ".join(str(tuple(colour)) for colour in rgb[dark][:3].tolist())
        raise MaskError(
            f"The mask has {int(dark.sum())} almost black colours that fill regions ({some}): these look like class "
            "ids in colour channels, or colours that were stored lossily. Save ids as a grey picture, and colours as "
            "PNG when they are made."
        )


def refuse_near_twins(rgb: Tensor, ids: Tensor, filling: Tensor) -> None:
    """Refuse regions of one class whose colours differ by a number in a channel, as ids beside a constant channel do.

    Args:
        rgb: the distinct colours (N, 3). ids: the class of each (N,). filling: as for `refuse_several_blacks`.
    """
    if len(rgb) > FLAT:  # lossily stored colours differ by small numbers as well
        return
    regions = filling > 0
    classes = torch.unique(ids[regions])
    least = SEVERAL if len(classes) <= 2 else LINE
    for number in classes:
        twins = rgb[regions & (ids == number)]
        if len(twins) >= least and _on_a_line(twins):
            some = ", ".join(str(tuple(colour)) for colour in twins[:3].tolist())
            raise MaskError(
                f"The mask has {len(twins)} colours that fill regions and are almost the same ({some}): these look "
                "like class ids in a colour channel, beside channels with something else. Save the ids as a grey "
                "picture."
            )


def _on_a_line(colours: Tensor) -> bool:
    """Whether colours (N, 3) are one colour plus a number, which is added to the same channels each time."""
    more = colours - colours.amin(0)
    used = more.amax(0) > 0
    return bool((more[:, used] == more.amax(1, keepdim=True)).all())


def _dark(picture: Tensor) -> str:
    used = [name for name, channel in zip(("red", "green", "blue"), picture.unbind(-1), strict=True) if channel.any()]
    highest = int(picture.max())
    if len(used) == 1:
        return (
            f"The mask is almost black: its {used[0]} channel has numbers up to {highest}, the others are 0. It looks "
            "like class ids in one channel: save that channel as a grey picture."
        )
    return (
        f"The mask is almost black: its {', '.join(used)} channels have different numbers up to {highest}. It looks "
        "like several id maps in one picture, or ids that were stored lossily: save one map of ids as a grey picture."
    )
