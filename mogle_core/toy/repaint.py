"""Repaints one region of a label map, as a person would by hand: the demo's hair is cut, or grows."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..masks.labels import IDS

_BEHIND_HAIR = ("background", "neck", "cloth")
_LONG = 0.15


def repaint_hair(ids: Tensor) -> tuple[Tensor, str] | None:
    """Another haircut for the label map (H, W) uint8, and what was done. None if there is no hair, or no room for
    more.

    If 15 % or more of the hair hangs below the chin, it is cut there; otherwise it grows over the background. All
    other pixels stay as they are.
    """
    label_map = ids.numpy()
    hair = label_map == IDS["hair"]
    hanging = hair & (np.arange(len(hair)) > _chin(label_map))[:, None]
    is_long = hanging.sum() >= _LONG * max(1, hair.sum())
    after = cut(label_map, hanging) if is_long else grown(label_map, hair)
    if np.array_equal(after, label_map):
        return None
    return torch.from_numpy(after), "hair cut at the chin" if is_long else "more hair"


def cut(label_map: NDArray[np.uint8], hanging: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The hanging hair becomes the nearest of background, neck and clothing."""
    behind = np.isin(label_map, [IDS[name] for name in _BEHIND_HAIR])
    _, nearest = cv2.distanceTransformWithLabels(
        (~behind).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    classes = np.zeros(nearest.max() + 1, np.uint8)
    classes[nearest[behind]] = label_map[behind]
    return np.where(hanging, classes[nearest], label_map)


def grown(label_map: NDArray[np.uint8], hair: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The hair grows by a sixteenth of the picture, over background only."""
    width = 2 * (label_map.shape[1] // 16) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    near = cv2.dilate(hair.astype(np.uint8), disc) > 0
    return np.where(near & (label_map == IDS["background"]), np.uint8(IDS["hair"]), label_map)


def _chin(label_map: NDArray[np.uint8]) -> int:
    """The lowest row of the face, or the middle row if the mask has no face."""
    rows = np.flatnonzero((label_map == IDS["skin"]).any(axis=1))
    return int(rows[-1]) if len(rows) else len(label_map) // 2
