"""How closely a picture follows a sketch: the mean distance from the sketch's lines to the picture's nearest edge."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from ...model.conditions.lines import edges

LINE = 0.5
"""A pixel of a sketch from this brightness on, relative to its brightest, is part of a line."""


def line_distance(sketch: Tensor, picture: Tensor) -> float:
    """The mean distance in pixels from the lines of a sketch (H, W) to the edges of a picture (H, W, 3) uint8.

    sketch: white lines on black, in 0..1 or 0..255. NaN if it has no lines; the picture's diagonal if the picture has
    no edges.
    """
    lines = sketch.float()
    if float(lines.max()) <= 0:
        return float("nan")
    found = (edges(picture[None].float() / 255, width=0.0, detail=1.0)[0] > 0).numpy()
    if not found.any():
        return float(np.hypot(*found.shape))
    away = cv2.distanceTransform((~found).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(away[(lines >= LINE * lines.max()).numpy()].mean())
