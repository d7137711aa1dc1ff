"""Finds and repairs problems of one mask: swapped sides, single pixels, classes that are not arranged like a face's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..masks.decode import LabelMap
from ..masks.labels import CLASSES, PAIRS
from ..support.sentences import counted

Kind = Literal["swapped", "doubtful", "off_palette", "single_pixels", "rare_class", "parser"]


@dataclass(frozen=True)
class Finding:
    """One problem of one mask, as a sentence without the file's name."""

    kind: Kind
    sentence: str


def findings_of(label_map: LabelMap) -> tuple[Finding, ...]:
    """The problems that one mask shows by itself."""
    ids = label_map.ids[0]
    findings = [
        Finding("swapped", f"left and right {pair_name(left)}s are swapped.")
        for (left, _), order in zip(PAIRS, side_order(ids), strict=True)
        if order < 0
    ]
    if (doubt := label_map.doubt()) is not None:
        findings.append(Finding("doubtful", doubt))
    if label_map.off_palette > 0:
        findings.append(
            Finding(
                "off_palette",
                f"{label_map.off_palette:.2%} of its pixels have no palette colour and take their neighbours' class.",
            )
        )
    if singles := int(single_pixels(ids.numpy()).sum()):
        findings.append(Finding("single_pixels", f"{counted(singles, 'region')} of a single pixel."))
    return tuple(findings)


def pair_name(left: int) -> str:
    """`eye` for the left eye's class."""
    return CLASSES[left].title.removeprefix("left ")


def side_order(ids: Tensor) -> tuple[int, ...]:
    """For eyes, brows and ears in ids (H, W): 1 if the subject's left is on the picture's right, otherwise -1.

    0 if one of the two is missing.
    """
    columns = torch.arange(ids.shape[1], dtype=torch.float64)

    def middle(class_id: int) -> float | None:
        across = (ids == class_id).sum(0)
        return float((across * columns).sum() / across.sum()) if across.any() else None

    order = []
    for left, right in PAIRS:
        at = middle(left), middle(right)
        order.append(0 if at[0] is None or at[1] is None else 1 if at[0] > at[1] else -1)
    return tuple(order)


def single_pixels(ids: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W): pixels of which none of the eight neighbours has the same class."""
    padded = np.pad(ids, 1, constant_values=255)
    height, width = ids.shape
    alike = np.zeros(ids.shape, dtype=np.bool_)
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                alike |= padded[down : down + height, right : right + width] == ids
    return ~alike


def repaired(ids: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """A map (H, W) with swapped pairs exchanged and single pixels filled from neighbours, and the repairs."""
    result, done = ids.clone(), []
    for (left, right), order in zip(PAIRS, side_order(ids), strict=True):
        if order < 0:
            result[ids == left], result[ids == right] = right, left
            done.append(f"{pair_name(left)}s exchanged")
    singles = single_pixels(result.numpy())
    if singles.any() and not singles.all():
        result = torch.from_numpy(_from_neighbours(result.numpy(), singles))
        done.append(f"{counted(int(singles.sum()), 'single pixel')} filled")
    return result, tuple(done)


def _from_neighbours(ids: NDArray[np.uint8], holes: NDArray[np.bool_]) -> NDArray[np.uint8]:
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
    filled: NDArray[np.uint8] = np.where(holes, ids[tuple(nearest)], ids)
    return filled


def rare_classes(counts: Sequence[NDArray[np.int64]], below: float = 0.01) -> NDArray[np.bool_]:
    """(19,): classes that some faces have, but fewer than this share of them."""
    shares = (np.stack(counts) > 0).mean(0)
    rare: NDArray[np.bool_] = (shares > 0) & (shares < below)
    return rare
