"""Draws the gate's maps: heat maps with a scale, and the winning experts in their colours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...support.sheets import GAP, INK, PAPER, beside, framed, heads, heat, label, picture_of, scale, stack
from .gate_maps import COLOURS, TITLES, GateFrames, winners

CELL, LIMIT = 200, 4096
"""The width of a map in pixels, and of a sheet; if there are more maps than fit, each is smaller."""

_LABELS, _COLUMNS = 150, 4
_WORDY, _LETTER = 140, 8  # pixels that a head with its number takes, and one letter
_UNDER, _UNDER_COLOURS = 0.35, 0.4  # how much of the picture shows through


def heat_sheet(
    frames: GateFrames,
    experts: Sequence[int],
    steps: Sequence[int],
    picture: Tensor | None = None,
    one_scale: bool = False,
) -> Image.Image:
    """A sheet with a column for each expert, a row for each step, and the scales, which start at 0, on the right.

    picture: (H, W, 3) in 0..1 to lay under the maps, in grey.
    one_scale: use one scale for all experts; otherwise each scale ends at its expert's largest weight in these steps.
    """
    weights = frames.weights[list(steps)][..., list(experts)]  # (steps, rows, columns, experts)
    highest = weights.amax((0, 1, 2)).clamp_min(1e-9)
    if one_scale:
        highest = highest.max().expand_as(highest)
    width = _cell(len(experts), len(steps))
    titles = [_head(frames, expert, float(high), width) for expert, high in zip(experts, highest, strict=True)]
    rows = [heads(titles, _LABELS, width)]
    for step, shown in zip(steps, heat(weights / highest), strict=True):
        cells = [_map(shown[:, :, place], width, picture, 1 - _UNDER) for place in range(len(experts))]
        rows.append(beside([_moment(frames, step, cells[0].height), *cells]))
    top = f"{float(highest[0]):.2f}" if one_scale else "largest"
    rows[1] = beside([rows[1], scale(top, rows[1].height - GAP)])
    return stack(rows)


def winner_sheet(
    frames: GateFrames, experts: Sequence[int], steps: Sequence[int], picture: Tensor | None = None
) -> Image.Image:
    """One map for each step in the class colours, with a legend of the classes and their shares below."""
    won = winners(frames, experts)[list(steps)]
    width = _cell(min(_COLUMNS, len(steps)), -(-len(steps) // _COLUMNS)) + CELL // 4
    shown = torch.tensor(COLOURS, dtype=torch.uint8)[won]
    cells = [_map(levels, width, picture, 1 - _UNDER_COLOURS) for levels in shown]
    rows = []
    for start in range(0, len(steps), _COLUMNS):
        words = [_words(frames, step) for step in steps[start : start + _COLUMNS]]
        rows += [heads(words, 0, width), beside(cells[start : start + _COLUMNS])]
    return stack([*rows, _legend(won, max(row.width for row in rows))])


def as_image(sheet: Image.Image) -> Tensor:
    """A sheet as ComfyUI's IMAGE (1, H, W, 3) float32 in 0..1."""
    levels = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8)
    return levels.view(1, sheet.height, sheet.width, 3).float() / 255


def _cell(columns: int, rows: int) -> int:
    return max(32, min(CELL, (LIMIT - _LABELS) // max(1, columns), LIMIT // max(1, rows)))


def _head(frames: GateFrames, expert: int, highest: float, width: int) -> str:
    title = frames.title(expert)
    return f"{title}, to {highest:.2f}" if width >= _WORDY else title[: width // _LETTER]


def _words(frames: GateFrames, step: int) -> str:
    return f"step {step + 1} of {len(frames)}, noise {float(frames.sigmas[step]):.2f}"


def _moment(frames: GateFrames, step: int, height: int) -> Image.Image:
    return label(f"step {step + 1}", f"of {len(frames)}\nnoise {float(frames.sigmas[step]):.2f}", (_LABELS, height))


def _map(levels: Tensor, width: int, picture: Tensor | None, share: float) -> Image.Image:
    """A map (rows, columns, 3) uint8, token by token, over the picture's grey if there is one."""
    inner = width - GAP
    size = (inner, max(1, round(inner * levels.shape[0] / levels.shape[1])))
    shown = picture_of(levels).resize(size, Image.Resampling.NEAREST)
    if picture is not None:
        under = picture_of((picture[..., :3].clamp(0, 1) * 255).round().to(torch.uint8)).convert("L").convert("RGB")
        shown = Image.blend(under.resize(size, Image.Resampling.BICUBIC), shown, share)
    return framed(shown)


def _legend(won: Tensor, width: int) -> Image.Image:
    """A colour patch, the name and the share of tokens of every mask that wins anywhere."""
    counts = torch.bincount(won.flatten(), minlength=len(TITLES))
    entries = [int(mask) for mask in counts.argsort(descending=True, stable=True) if counts[mask]]
    across = max(1, width // CELL)
    legend = Image.new("RGB", (width, GAP + 24 * -(-len(entries) // across)), PAPER)
    pen = ImageDraw.Draw(legend)
    for number, mask in enumerate(entries):
        x, y = (number % across) * CELL, GAP + 24 * (number // across)
        pen.rectangle((x, y, x + 16, y + 16), COLOURS[mask], INK)
        share = f"{100 * float(counts[mask]) / won.numel():.0f} %"
        pen.text((x + 24, y), f"{TITLES[mask]}, {share}", INK, ImageFont.load_default(14))
    return legend
