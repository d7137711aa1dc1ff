"""Parts that a label space does not tell apart take their sides by position."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from support.places import DATA

from mogle_core.masks.decode import decode_image
from mogle_core.masks.halves import split_lips, split_sides
from mogle_core.masks.labels import FLIPPED, PAIRS

NAMES = ["mm_celeba_27000", "portrait_a", "portrait_b"]


def ids_of(name: str) -> torch.Tensor:
    return decode_image(Image.open(DATA / "masks" / f"{name}.png")).ids


@pytest.mark.parametrize("name", NAMES)
def test_merged_pairs_are_split_as_they_were(name: str) -> None:
    ids = ids_of(name)
    for left, right in PAIRS:
        merged = torch.where(ids == right, left, ids)
        assert torch.equal(split_sides(merged, ((left, right),)), ids)


@pytest.mark.parametrize("name", NAMES)
def test_swapped_pairs_are_put_right_and_right_ones_stay(name: str) -> None:
    ids = ids_of(name)
    swapped = torch.tensor(FLIPPED, dtype=torch.uint8)[ids.long()]
    assert torch.equal(split_sides(ids), ids)
    both = torch.tensor([left for left, right in PAIRS if (ids == left).any() and (ids == right).any()])
    for left in both.tolist():
        assert torch.equal(split_sides(swapped) == left, ids == left)


def test_one_piece_over_the_middle_is_cut_there() -> None:
    face = torch.ones(1, 20, 20, dtype=torch.uint8)
    face[:, 10:14, 9:11] = 2  # the nose, in the middle
    face[:, 4, 4:16] = 6  # one brow over both eyes
    split = split_sides(face)
    assert split[0, 4, 4:10].tolist() == [7] * 6
    assert split[0, 4, 10:16].tolist() == [6] * 6


def test_both_eyes_of_a_turned_head_are_told_apart_by_their_order() -> None:
    face = torch.ones(1, 20, 40, dtype=torch.uint8)
    face[:, 10:14, 2:5] = 2  # the nose far on the left
    face[:, 5, 8:11] = 4
    face[:, 5, 20:23] = 4
    assert split_sides(face)[0, 5, [9, 21]].tolist() == [5, 4]


@pytest.mark.parametrize("name", NAMES)
def test_lips_are_split_where_they_meet(name: str) -> None:
    ids = ids_of(name)
    merged = torch.where(ids == 12, 11, ids)
    split = split_lips(merged)
    lips = (ids == 11) | (ids == 12)
    assert torch.equal((split == 11) | (split == 12), lips)
    assert (split[lips] == ids[lips]).double().mean() > 0.75


def test_e4s_and_easyportrait_come_back_with_sides() -> None:
    ids = ids_of("portrait_a")[0].numpy()
    for space, table in (("e4s", {1: 6, 2: 5, 4: 3, 5: 3, 6: 2, 7: 2, 11: 1, 12: 1, 13: 4, 17: 8}),):
        raw = np.zeros_like(ids)
        for class_id, number in table.items():
            raw[ids == class_id] = number
        found = decode_image(Image.fromarray(raw), space).ids[0].numpy()
        for class_id in (1, 2, 4, 5, 6, 7, 13, 17):
            assert np.array_equal(found == class_id, ids == class_id)
