"""Sheets of pictures with text, for the demo's contact sheet and for gate maps."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP = 8
PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (120, 120, 120)

_LINE = 20
# Even steps of lightness, so that a map is also readable in grey: dark violet, blue, teal, green, yellow, white.
_HEAT = ((28, 8, 54), (58, 52, 122), (38, 112, 142), (52, 166, 118), (178, 208, 60), (255, 250, 214))


def heat(values: Tensor) -> Tensor:
    """Values (...) in 0..1 as colours (..., 3) uint8, from dark to light."""
    places = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(values.double().numpy(), places, channel) for channel in zip(*_HEAT, strict=True)]
    return torch.from_numpy(np.stack(channels, -1)).round().to(torch.uint8)


def scale(highest: str, height: int) -> Image.Image:
    """The colours of `heat`, with 0 at the bottom and `highest` at the top."""
    bar = Image.fromarray(heat(torch.linspace(1, 0, height)[:, None].repeat(1, 16)).numpy())
    ruled = Image.new("RGB", (72, height), PAPER)
    ruled.paste(bar, (0, 0))
    pen = ImageDraw.Draw(ruled)
    for y, words in ((0, highest), (height - _LINE, "0")):
        pen.text((16 + GAP, y), words, INK, ImageFont.load_default(14))
    return ruled


def picture_of(levels: Tensor) -> Image.Image:
    """Levels (H, W, 3) uint8 as a picture."""
    return Image.fromarray(levels.contiguous().numpy())


def framed(image: Image.Image) -> Image.Image:
    """The picture with a gap on the right and below."""
    paper = Image.new("RGB", (image.width + GAP, image.height + GAP), PAPER)
    paper.paste(image, (0, 0))
    return paper


def label(title: str, text: str, size: tuple[int, int]) -> Image.Image:
    """A title, and below it a text of several lines, on paper of this width and height in pixels."""
    paper = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(paper)
    pen.text((GAP, 4), title, INK, ImageFont.load_default(17))
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, size[0] // 8 + 1)]
    start = 4 + (_LINE + 8 if title else 0)
    for number, line in enumerate(lines):
        pen.text((GAP, start + _LINE * number), line, FAINT, ImageFont.load_default(14))
    return paper


def heads(titles: Sequence[str], first: int, width: int) -> Image.Image:
    """A row of titles: the first begins at pixel `first`, each next one `width` pixels to its right."""
    line = Image.new("RGB", (first + width * len(titles), _LINE + GAP), PAPER)
    for number, title in enumerate(titles):
        place = (first + width * number, GAP - 2)
        ImageDraw.Draw(line).text(place, title, INK, ImageFont.load_default(14))
    return line


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """The pictures from left to right, aligned at the top."""
    row = Image.new("RGB", (sum(i.width for i in images), max(i.height for i in images)), PAPER)
    x = 0
    for image in images:
        row.paste(image, (x, 0))
        x += image.width
    return row


def stack(rows: Sequence[Image.Image]) -> Image.Image:
    """The pictures from top to bottom, aligned at the left."""
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), PAPER)
    y = 0
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height
    return sheet
