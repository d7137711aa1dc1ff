"""Draws the demo's contact sheet: each run with mask, result and overlay, and the gate's weights below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..masks.decouple import colours
from ..support.sheets import FAINT, GAP, beside, framed, heads, heat, label, picture_of, stack
from .demo_sketch import under_sketch

CELL = 256
"""Pictures are shown about this long, in whole multiples of their size."""

_LABELS = 300


@dataclass(frozen=True)
class Row:
    """One run. mask: (H, W) ids, or None without a mask. outline: the ids (H, W) that are drawn over the result.

    sketch: (H, W) uint8, or None; it is drawn over the result where there is no outline.
    """

    title: str
    text: str
    mask: Tensor | None
    picture: Tensor
    outline: Tensor | None
    sketch: Tensor | None = None


@dataclass(frozen=True)
class GateMap:
    """One expert's gate weights (moments, rows, columns)."""

    title: str
    weights: Tensor


def contact_sheet(rows: Sequence[Row], moments: Sequence[str], maps: Sequence[GateMap]) -> Image.Image:
    """One run in each row, then one moment of the gate maps in each. All pictures (H, W, 3) uint8 have one size.

    There is a column for sketches if a row has one.
    """
    sketched = any(row.sketch is not None for row in rows)
    top = [_run(row, sketched) for row in rows]
    columns = (*(("sketch",) if sketched else ()), "mask", "result", "result under the mask")
    titles = heads(columns, _LABELS, (top[0].width - _LABELS) // len(columns))
    bottom = _gates(moments, maps, top[0].width - _LABELS) if maps else []
    return stack([titles, *top, *bottom])


def overlay(picture: Tensor, ids: Tensor) -> Tensor:
    """The picture (H, W, 3) uint8 under the mask's colours: a line between two classes, a tint inside each."""
    tint = colours(ids[None])[0] * 255
    border = torch.zeros_like(ids, dtype=torch.bool)
    border[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    border[1:] |= ids[1:] != ids[:-1]
    share = torch.where(border, 0.85, 0.3)[..., None]
    return (picture * (1 - share) + tint * share).round().to(torch.uint8)


def _run(row: Row, sketched: bool) -> Image.Image:
    mask = None if row.mask is None else (colours(row.mask[None])[0] * 255).to(torch.uint8)
    sketch = None if row.sketch is None else row.sketch[..., None].expand(-1, -1, 3)
    given = ((sketch, "no sketch"), (mask, "no mask")) if sketched else ((mask, "no mask"),)
    pictures = [
        *(_blank(row.picture, words) if shown is None else _shown(shown) for shown, words in given),
        _shown(row.picture, Image.Resampling.BICUBIC),
        _shown(_over(row)),
    ]
    return beside([label(row.title, row.text, (_LABELS, pictures[0].height)), *pictures])


def _over(row: Row) -> Tensor:
    """The result under the mask, or under the sketch where no mask belongs to it."""
    if row.outline is not None:
        return overlay(row.picture, row.outline)
    return row.picture if row.sketch is None else under_sketch(row.picture, row.sketch)


def _gates(moments: Sequence[str], maps: Sequence[GateMap], width: int) -> list[Image.Image]:
    """Draw each expert from 0 to its largest weight, which is printed above its column."""
    cell = width // len(maps)
    highest = [float(each.weights.max()) for each in maps]
    titles = [f"{each.title}: 0 to {high:.2f}" for each, high in zip(maps, highest, strict=True)]
    rows = [heads(titles, _LABELS, cell)]
    for number, moment in enumerate(moments):
        shown = [
            _fitted(heat(each.weights[number] / max(high, 1e-9)), cell)
            for each, high in zip(maps, highest, strict=True)
        ]
        words = label("gate" if number == 0 else "", moment, (_LABELS, shown[0].height))
        rows.append(beside([words, *shown]))
    return rows


def _shown(picture: Tensor, how: Image.Resampling = Image.Resampling.NEAREST) -> Image.Image:
    times = max(1, round(CELL / max(picture.shape[:2])))
    return framed(picture_of(picture).resize((picture.shape[1] * times, picture.shape[0] * times), how))


def _fitted(picture: Tensor, width: int) -> Image.Image:
    inner = width - GAP
    height = round(inner * picture.shape[0] / picture.shape[1])
    return framed(picture_of(picture).resize((inner, height), Image.Resampling.NEAREST))


def _blank(like: Tensor, words: str) -> Image.Image:
    empty = _shown(torch.full_like(like, 235))
    ImageDraw.Draw(empty).text((12, 12), words, FAINT, ImageFont.load_default(15))
    return empty
