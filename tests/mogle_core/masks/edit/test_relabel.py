"""Operations that change classes and move no pixel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from support.label_maps import label_maps, names
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.decouple import flip
from mogle_core.masks.edit import edit
from mogle_core.masks.labels import CLASS_NAMES


@given(label_maps(), names, names)
def test_replacing_moves_every_pixel_to_the_other_class(ids: Tensor, region: str, other: str) -> None:
    old, new = CLASS_NAMES.index(region), CLASS_NAMES.index(other)
    expected = torch.where(ids == old, new, ids).byte()
    assert torch.equal(edit(ids, "replace by", region, replacement=other), expected)


@given(label_maps())
def test_swapping_sides_is_a_flip_without_moving_pixels(ids: Tensor) -> None:
    swapped = edit(ids, "swap left/right")
    assert torch.equal(swapped, flip(ids).flip(-1))
    assert torch.equal(edit(swapped, "swap left/right"), ids)


def test_one_pair_alone_swaps_whichever_of_the_two_is_named() -> None:
    ids = torch.tensor([[[4, 5, 6, 7, 5]]], dtype=torch.uint8)
    for eye in ("l_eye", "r_eye"):
        assert edit(ids, "swap left/right", eye).tolist() == [[[5, 4, 6, 7, 4]]]
    assert edit(ids[..., 1:2], "swap left/right", "l_eye").tolist() == [[[4]]]


def test_what_has_no_sides_cannot_swap_them() -> None:
    with pytest.raises(MaskError, match="nose has no left and right to swap: choose all, or one of l_eye, r_eye"):
        edit(torch.full((1, 2, 2), 2, dtype=torch.uint8), "swap left/right", "nose")
