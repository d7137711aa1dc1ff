"""The crop of a pair for training: its size in pixels, and the box in mask and picture that fills it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..masks.decouple import resize
from ..model.flux_latents import TOKEN_PIXELS
from .errors import DatasetError

ASPECTS = 2.0
"""The largest aspect ratio of a bucket; longer pictures are cropped."""

SAME_ASPECT = 0.02
"""The relative difference that is allowed between the aspect ratios of picture and mask."""


@dataclass(frozen=True)
class Frame:
    """height, width: pixels, multiples of 16. box: left, top, right, bottom in the mask's whole pixels."""

    height: int
    width: int
    box: tuple[int, int, int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.height // TOKEN_PIXELS, self.width // TOKEN_PIXELS


def bucket(width: int, height: int, resolution: int) -> tuple[int, int]:
    """Height and width, multiples of 16, of about resolution² pixels in the picture's aspect ratio."""
    aspect = min(max(width / height, 1 / ASPECTS), ASPECTS)
    rows = max(1, round(resolution / math.sqrt(aspect) / TOKEN_PIXELS))
    # The other side follows from the area, so that the two roundings do not add up.
    columns = max(1, round(resolution**2 / (rows * TOKEN_PIXELS) / TOKEN_PIXELS))
    return rows * TOKEN_PIXELS, columns * TOKEN_PIXELS


@lru_cache(maxsize=4096)  # so that the pairs of a set share a few sizes
def frame(width: int, height: int, resolution: int, buckets: bool) -> Frame:
    """The largest central crop of a mask of width x height."""
    rows, columns = bucket(width, height, resolution) if buckets else (resolution, resolution)
    if width * rows > height * columns:
        inner = max(1, round(height * columns / rows))
        left = (width - inner) // 2
        return Frame(rows, columns, (left, 0, left + inner, height))
    inner = max(1, round(width * rows / columns))
    top = (height - inner) // 2
    return Frame(rows, columns, (0, top, width, top + inner))


def cut_ids(ids: Tensor, frame: Frame) -> Tensor:
    """Label maps (B, H, W) -> (B, height, width), nearest neighbour."""
    left, top, right, bottom = frame.box
    return resize(ids[:, top:bottom, left:right], frame.height, frame.width)


def cut_picture(picture: Image.Image, mask_size: tuple[int, int], frame: Frame, name: str) -> Tensor:
    """The same crop of the picture, (height, width, 3) float32 in 0..1.

    mask_size: width and height of the mask, to which the box refers; the picture may be larger or smaller.

    Raises:
        DatasetError: picture and mask have different aspect ratios.
    """
    check_aspects(picture.size, mask_size, name)
    across, down = picture.width / mask_size[0], picture.height / mask_size[1]
    left, top, right, bottom = frame.box
    box = (left * across, top * down, right * across, bottom * down)
    box = (box[0], box[1], min(box[2], picture.width), min(box[3], picture.height))
    if box == (0, 0, picture.width, picture.height) and picture.size == (frame.width, frame.height):
        cut = picture
    else:
        cut = picture.resize((frame.width, frame.height), Image.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.array(cut)).float() / 255


def check_aspects(picture: tuple[int, int], mask: tuple[int, int], name: str) -> None:
    """Raises DatasetError if picture and mask, of these widths and heights, have different aspect ratios."""
    if abs(picture[0] * mask[1] / (picture[1] * mask[0]) - 1) > SAME_ASPECT:
        raise DatasetError(
            f"{name}: the picture is {picture[0]} x {picture[1]}, its mask {mask[0]} x {mask[1]}; both must show the "
            "same cut. Crop one of them to the other's."
        )
