"""How well a picture follows its mask: compares the target label map with the one that a parser sees.

Per class and picture: the intersection over union, and the F1 of the region's outline. Per picture: their means over
the classes in either map, the mean IoU with left and right merged, and the share of right pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .decode import MaskError
from .decouple import colours, resize
from .labels import CLASSES, FLIPPED, NUM_CLASSES

TOLERANCE = 0.0075
"""The tolerance of an outline, as a share of the picture's diagonal (Csurka et al., 2013): 5.4 pixels at 512."""

MERGED: tuple[int, ...] = tuple(min(number, other) for number, other in enumerate(FLIPPED))
"""The class of each id when left and right are one."""


@dataclass(frozen=True)
class Score:
    """The comparison of N label maps with their targets.

    ious, outlines: (N, 19), NaN for classes that are in neither map. merged, accuracy: (N,).
    """

    ious: Tensor
    outlines: Tensor
    merged: Tensor
    accuracy: Tensor

    @property
    def mean_ious(self) -> Tensor:
        """(N,), over the classes in either map."""
        return self.ious.nanmean(dim=1)

    @property
    def mean_outlines(self) -> Tensor:
        return self.outlines.nanmean(dim=1)

    @property
    def best_index(self) -> int:
        """The picture with the highest mean IoU; the first of several."""
        return int(self.mean_ious.argmax())


def score(parsed: Tensor, target: Tensor) -> Score:
    """Compare label maps (N, H, W) with the requested ones, (N or 1, h, w), which are resized to (H, W).

    Raises MaskError if the numbers do not match.
    """
    target = fitted(target, parsed)
    return Score(
        ious=class_ious(parsed, target),
        outlines=boundary_f1(parsed, target),
        merged=class_ious(merge_sides(parsed), merge_sides(target)).nanmean(dim=1),
        accuracy=pixel_accuracy(parsed, target),
    )


def fitted(target: Tensor, parsed: Tensor) -> Tensor:
    """The targets, repeated and resized to the number and size of the parsed maps."""
    if len(target) not in (1, len(parsed)):
        raise MaskError(
            f"Mask Score was given {len(target)} masks and {len(parsed)} pictures: give one mask for all pictures, "
            "or as many masks as pictures."
        )
    return resize(target, *parsed.shape[1:]).expand(len(parsed), -1, -1).to(parsed.device)


def class_ious(parsed: Tensor, target: Tensor) -> Tensor:
    """IoU of every class, (N, 19), of label maps (N, H, W); NaN for classes that are in neither."""
    ious = []
    for number in range(NUM_CLASSES):
        here, there = parsed == number, target == number
        both, either = (here & there).sum((1, 2)), (here | there).sum((1, 2))
        ious.append(both / either)
    return torch.stack(ious, dim=1)


def pixel_accuracy(parsed: Tensor, target: Tensor) -> Tensor:
    """The share of pixels with the right class: (N, H, W) twice -> (N,)."""
    return (parsed == target).float().mean((1, 2))


def merge_sides(ids: Tensor) -> Tensor:
    """Ids (N, H, W) with right eyes, brows and ears counted as left ones."""
    return torch.tensor(MERGED, dtype=torch.uint8, device=ids.device)[ids.long()]


def boundary_f1(parsed: Tensor, target: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """F1 of every class's outline, (N, 19): how much of each outline lies near the other one.

    Outlines are a region's pixels beside another class; the picture's frame does not count. 0 where only one of the
    maps has an outline, NaN for classes that are in neither map.
    """
    reach = tolerance * math.hypot(*parsed.shape[1:])
    values = [_outline_f1(parsed == number, target == number, reach) for number in range(NUM_CLASSES)]
    return torch.stack(values, dim=1)


def _outline_f1(here: Tensor, there: Tensor, reach: float) -> Tensor:
    absent = ~(here | there).any(2).any(1)
    if bool(absent.all()):
        return torch.full((len(here),), torch.nan, device=here.device)
    first, second = outline(here), outline(there)
    precise, complete = _share_near(first, second, reach), _share_near(second, first, reach)
    f1 = 2 * precise * complete / (precise + complete).clamp_min(1e-9)
    neither = ~(first | second).any(2).any(1)  # one class all over
    f1 = torch.where(neither, (here == there).flatten(1).all(1).to(f1), f1)
    return torch.where(absent, torch.nan, f1)


def outline(region: Tensor) -> Tensor:
    """The pixels of regions (N, H, W) that have a neighbour outside: above, below, left or right."""
    edge = torch.zeros_like(region)
    down, right = region[:, 1:] != region[:, :-1], region[:, :, 1:] != region[:, :, :-1]
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    edge[:, :, 1:] |= right
    edge[:, :, :-1] |= right
    return edge & region


def _share_near(edge: Tensor, other: Tensor, reach: float) -> Tensor:
    near = within(other, reach)
    return (edge & near).sum((1, 2)) / edge.sum((1, 2)).clamp_min(1)


def within(marked: Tensor, reach: float) -> Tensor:
    """The pixels (N, H, W) within `reach` of a marked one, centre to centre."""
    height, width = marked.shape[1:]
    # A disc is a stack of row pieces. The number of marks in a piece is a difference of running sums.
    sums = torch.nn.functional.pad(marked.int().cumsum(2, dtype=torch.int32), (1, 0))
    columns = torch.arange(width, device=marked.device)
    near = torch.zeros_like(marked)
    for down in range(-min(int(reach), height - 1), min(int(reach), height - 1) + 1):
        half = int(math.sqrt(reach * reach - down * down))
        piece = sums[:, :, (columns + half + 1).clamp_max(width)] > sums[:, :, (columns - half).clamp_min(0)]
        rows, source = slice(max(0, down), height + min(0, down)), slice(max(0, -down), height - max(0, down))
        near[:, rows] |= piece[:, source]
    return near


def difference(parsed: Tensor, target: Tensor) -> Tensor:
    """Label maps (N, H, W) as pictures (N, H, W, 3) in 0..1: right pixels are pale, wrong ones have the full
    colour of the parsed class."""
    target = fitted(target, parsed)
    painted = colours(parsed)
    return torch.where((parsed == target)[..., None], 0.6 + 0.2 * painted, painted)


def table(result: Score) -> str:
    """The scores as Markdown: a row for each picture, then one for each class with its mean over the pictures."""
    rows = zip(result.mean_ious, result.merged, result.mean_outlines, result.accuracy, strict=True)
    pictures = [f"| {number} | {' | '.join(_number(value) for value in row)} |" for number, row in enumerate(rows)]
    classes = [
        f"| {c.title} | {_number(iou)} | {_number(edge)} |"
        for c, iou, edge in zip(CLASSES, result.ious.nanmean(0), result.outlines.nanmean(0), strict=True)
        if not iou.isnan()
    ]
    return "\n".join(
        [
            "| picture | mean IoU | left and right as one | boundary F1 | pixels right |",
            "|---|---|---|---|---|",
            *pictures,
            "",
            "| class | IoU | boundary F1 |",
            "|---|---|---|",
            *classes,
        ]
    )


def _number(value: Tensor) -> str:
    return f"{float(value):.3f}"
