"""Plots of a result: IoU of each class, histograms of the scores, and the best and worst pictures with their masks."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..dataset.reading import read_mask
from ..masks.decouple import colours
from ..masks.labels import CLASSES
from ..support.whole_files import written_aside
from .pictures import read_picture
from .result import Result

SHOWN = 8
CELL, HEAD = 192, 22


def plot(result: Result, folder: Path) -> list[Path]:
    """Bars for the classes, and a histogram of each score of single pictures, if the result has them."""
    figure = importlib.import_module("matplotlib.figure").Figure
    written = []
    if result.per_class:
        written.append(_class_bars(figure(figsize=(9, 4), layout="constrained"), result.per_class, folder))
    if result.per_picture:
        written.append(_distributions(figure, result.per_picture, folder))
    return written


def _class_bars(figure: Any, ious: Mapping[str, float], folder: Path) -> Path:
    titles = {c.name: c for c in CLASSES}
    axes = figure.subplots()
    names = list(ious)
    colours = [tuple(level / 255 for level in titles[name].rgb) for name in names]
    axes.bar([titles[name].title for name in names], [ious[name] for name in names], color=colours, edgecolor="grey")
    axes.set(ylim=(0, 1), ylabel="IoU", title="IoU of each class, over the pictures that have it")
    axes.tick_params(axis="x", rotation=60)
    return _saved(figure, folder / "class_iou.png")


def _distributions(figure: Any, scores: Mapping[str, Mapping[str, float]], folder: Path) -> Path:
    sheet = figure(figsize=(4 * len(scores), 3), layout="constrained")
    for axes, (name, values) in zip(sheet.subplots(1, len(scores), squeeze=False)[0], scores.items(), strict=True):
        axes.hist(list(values.values()), bins=30, color="#3f789e")
        axes.set(title=name, ylabel="pictures")
    return _saved(sheet, folder / "distributions.png")


def _saved(figure: Any, path: Path) -> Path:
    with written_aside(path) as partial:
        figure.savefig(partial, dpi=120, format="png")
    return path


def contact_sheet(
    scores: Mapping[str, float],
    pictures: Mapping[str, Path],
    masks: Mapping[str, Path],
    falling: bool = False,
    label_space: str = "auto",
) -> Image.Image:
    """The best pictures by their score in the upper rows, the worst in the lower, each above its mask.

    falling: whether a lower score is better. label_space: of the stored masks.
    """
    ranked = sorted(scores, key=lambda name: (scores[name] if falling else -scores[name], name))
    best, worst = ranked[:SHOWN], ranked[::-1][:SHOWN]
    columns = len(best)
    sheet = Image.new("RGB", (columns * CELL, 2 * (HEAD + 2 * CELL)), "white")
    for row, names in enumerate((best, worst)):
        _row(sheet, row * (HEAD + 2 * CELL), names, scores, pictures, masks, label_space)
    return sheet


def _row(
    sheet: Image.Image,
    top: int,
    names: Sequence[str],
    scores: Mapping[str, float],
    pictures: Mapping[str, Path],
    masks: Mapping[str, Path],
    label_space: str,
) -> None:
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(names):
        left = column * CELL
        pen.text((left + 4, top + 4), f"{name}: {scores[name]:.3f}", "black", ImageFont.load_default(13))
        sheet.paste(_cell(read_picture(pictures[name])), (left, top + HEAD))
        if name in masks:
            sheet.paste(_cell(_painted(masks[name], label_space)), (left, top + HEAD + CELL))


def _painted(path: Path, label_space: str) -> Tensor:
    """A stored mask in the palette's colours, (H, W, 3) uint8."""
    return (colours(read_mask(path, label_space).ids)[0] * 255).to(torch.uint8)


def _cell(picture: Tensor) -> Image.Image:
    return Image.fromarray(picture.numpy()).resize((CELL, CELL), Image.Resampling.NEAREST)
