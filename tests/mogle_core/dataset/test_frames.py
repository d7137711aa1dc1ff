"""Crops: sides are multiples of 16 with about the right area, and image and mask show the same part."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mogle_core.dataset import DatasetError
from mogle_core.dataset.frames import ASPECTS, Frame, bucket, cut_ids, cut_picture, frame
from mogle_core.masks.labels import PALETTE

sides = st.integers(40, 900)


@given(sides, sides, st.sampled_from([256, 512, 768]))
def test_buckets_keep_area_and_aspect(width: int, height: int, resolution: int) -> None:
    rows, columns = bucket(width, height, resolution)
    assert rows % 16 == columns % 16 == 0
    assert abs(rows * columns / resolution**2 - 1) < 0.1
    aspect = min(max(width / height, 1 / ASPECTS), ASPECTS)
    assert abs(np.log(columns / rows / aspect)) < 0.15


def test_a_square_is_the_resolution_itself() -> None:
    assert bucket(1024, 1024, 512) == (512, 512)
    assert frame(512, 512, 512, buckets=False) == Frame(512, 512, (0, 0, 512, 512))


@given(sides, sides, st.booleans())
def test_the_box_is_central_inside_the_mask_and_of_the_frames_aspect(width: int, height: int, buckets: bool) -> None:
    found = frame(width, height, 256, buckets)
    left, top, right, bottom = found.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs(left - (width - right)) <= 1
    assert abs(top - (height - bottom)) <= 1
    assert left == 0 or top == 0  # as large as can be
    assert abs((right - left) / (bottom - top) / (found.width / found.height) - 1) < 0.03


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("buckets", [False, True])
def test_picture_and_mask_show_the_same_part(factor: int, buckets: bool) -> None:
    """An image painted from its mask, possibly twice as large, still agrees with it inside every region."""
    ids = np.zeros((120, 200), dtype=np.uint8)
    ids[20:100, 60:150], ids[40:60, 90:120] = 1, 13
    painted = np.array(PALETTE, dtype=np.uint8)[ids].repeat(factor, 0).repeat(factor, 1)
    cut = frame(200, 120, 96, buckets)
    label_map = cut_ids(torch.from_numpy(ids)[None], cut)[0]
    picture = cut_picture(Image.fromarray(painted), (200, 120), cut, "picture")
    assert picture.shape == (cut.height, cut.width, 3)
    assert label_map.shape == picture.shape[:2]
    expected = torch.tensor(PALETTE)[label_map.long()] / 255
    wrong = ((picture - expected).abs().amax(-1) > 0.5).float().mean()
    assert float(wrong) < 0.02  # edges alone


def test_a_picture_of_the_frames_size_is_untouched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    cut = Frame(64, 48, (0, 0, 48, 64))
    assert torch.equal(cut_picture(Image.fromarray(pixels), (48, 64), cut, ""), torch.from_numpy(pixels) / 255)


def test_a_picture_of_another_aspect_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"face\.png: the picture is 64 x 48, its mask 64 x 64"):
        cut_picture(Image.new("RGB", (64, 48)), (64, 64), frame(64, 64, 64, False), "face.png")
