"""The demo's contact sheet: runs with mask, result and overlay; below them what the gate did. Only drawing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..labels import PALETTE
from ..masks import colours

CELL = 256
"""Pictures are shown about this long, in whole multiples of their size."""

_LABELS, _GAP, _LINE = 300, 8, 20
_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (120, 120, 120)
# Even steps of lightness, so that a map reads the same in grey: dark violet, blue, teal, green, yellow, white.
_HEAT = ((28, 8, 54), (58, 52, 122), (38, 112, 142), (52, 166, 118), (178, 208, 60), (255, 250, 214))


@dataclass(frozen=True)
class Row:
    """One run. mask: (H, W) ids, or None where none was given. outline: the ids (H, W) laid over the result."""

    title: str
    text: str
    mask: Tensor | None
    picture: Tensor
    outline: Tensor


@dataclass(frozen=True)
class GateMap:
    """One expert's gate weights (moments, rows, columns)."""

    title: str
    weights: Tensor


def contact_sheet(rows: Sequence[Row], moments: Sequence[str], maps: Sequence[GateMap]) -> Image.Image:
    """All runs, one a row, and the gate maps, one moment a row; pictures (H, W, 3) uint8 are of one size."""
    top = [_run(row) for row in rows]
    heads = _heads(("mask", "result", "result under the mask"), (top[0].width - _LABELS) // 3)
    bottom = _gates(moments, maps, top[0].width - _LABELS) if maps else []
    return _stack([heads, *top, *bottom])


def overlay(picture: Tensor, ids: Tensor) -> Tensor:
    """The picture (H, W, 3) uint8 under the mask's colours: between two classes a line, inside a tint."""
    tint = colours(ids[None])[0] * 255
    border = torch.zeros_like(ids, dtype=torch.bool)
    border[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    border[1:] |= ids[1:] != ids[:-1]
    share = torch.where(border, 0.85, 0.3)[..., None]
    return (picture * (1 - share) + tint * share).round().to(torch.uint8)


def heat(values: Tensor) -> Tensor:
    """Values (...) in 0..1 as colours (..., 3) uint8, from dark to light."""
    places = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(values.double().numpy(), places, channel) for channel in zip(*_HEAT, strict=True)]
    return torch.from_numpy(np.stack(channels, -1)).round().to(torch.uint8)


def index_image(ids: Tensor) -> Image.Image:
    """The label map (H, W) as an indexed picture: ids to read, the palette's colours to look at."""
    image = Image.fromarray(ids.numpy())
    image.putpalette([level for rgb in PALETTE for level in rgb])
    return image


def _run(row: Row) -> Image.Image:
    pictures = [
        _blank(row.picture) if row.mask is None else _shown((colours(row.mask[None])[0] * 255).to(torch.uint8)),
        _shown(row.picture, Image.Resampling.BICUBIC),
        _shown(overlay(row.picture, row.outline)),
    ]
    return _beside([_label(row.title, row.text, pictures[0].height), *pictures])


def _gates(moments: Sequence[str], maps: Sequence[GateMap], width: int) -> list[Image.Image]:
    """Each expert on a scale of its own, from 0 to its largest weight, which its head gives."""
    cell = width // len(maps)
    highest = [float(each.weights.max()) for each in maps]
    titles = [f"{each.title}: 0 to {high:.2f}" for each, high in zip(maps, highest, strict=True)]
    rows = [_heads(titles, cell)]
    for number, moment in enumerate(moments):
        shown = [
            _fitted(heat(each.weights[number] / max(high, 1e-9)), cell)
            for each, high in zip(maps, highest, strict=True)
        ]
        rows.append(_beside([_label("gate" if number == 0 else "", moment, shown[0].height), *shown]))
    return rows


def _shown(picture: Tensor, how: Image.Resampling = Image.Resampling.NEAREST) -> Image.Image:
    times = max(1, round(CELL / max(picture.shape[:2])))
    return _framed(_image(picture).resize((picture.shape[1] * times, picture.shape[0] * times), how))


def _fitted(picture: Tensor, width: int) -> Image.Image:
    inner = width - _GAP
    height = round(inner * picture.shape[0] / picture.shape[1])
    return _framed(_image(picture).resize((inner, height), Image.Resampling.NEAREST))


def _image(picture: Tensor) -> Image.Image:
    return Image.fromarray(picture.contiguous().numpy())


def _blank(like: Tensor) -> Image.Image:
    empty = _shown(torch.full_like(like, 235))
    ImageDraw.Draw(empty).text((12, 12), "no mask", _FAINT, ImageFont.load_default(15))
    return empty


def _framed(image: Image.Image) -> Image.Image:
    framed = Image.new("RGB", (image.width + _GAP, image.height + _GAP), _PAPER)
    framed.paste(image, (0, 0))
    return framed


def _label(title: str, text: str, height: int) -> Image.Image:
    label = Image.new("RGB", (_LABELS, height), _PAPER)
    pen = ImageDraw.Draw(label)
    pen.text((_GAP, 4), title, _INK, ImageFont.load_default(17))
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, 38)]
    start = 4 + (_LINE + 8 if title else 0)
    for number, line in enumerate(lines):
        pen.text((_GAP, start + _LINE * number), line, _FAINT, ImageFont.load_default(14))
    return label


def _heads(titles: Sequence[str], width: int) -> Image.Image:
    heads = Image.new("RGB", (_LABELS + width * len(titles), _LINE + _GAP), _PAPER)
    for number, title in enumerate(titles):
        place = (_LABELS + width * number, _GAP - 2)
        ImageDraw.Draw(heads).text(place, title, _INK, ImageFont.load_default(14))
    return heads


def _beside(images: Sequence[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (sum(i.width for i in images), max(i.height for i in images)), _PAPER)
    x = 0
    for image in images:
        row.paste(image, (x, 0))
        x += image.width
    return row


def _stack(rows: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), _PAPER)
    y = 0
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height
    return sheet
