"""Label maps between two label maps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.label_maps import drawn, label_maps
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.edit import edit, morph
from mogle_core.masks.labels import CLASS_NAMES


@given(label_maps(), st.integers(2, 5), st.randoms(use_true_random=False))
def test_ends_are_the_inputs_and_no_class_is_invented(ids: Tensor, count: int, random: st.RandomType) -> None:
    held = random.sample(range(19), 3)
    other = torch.tensor(held, dtype=torch.uint8)[(ids % 3).long()].flip(-1)
    maps = morph(ids, other, count)
    assert maps.shape == (count, *ids.shape[1:]) and maps.dtype == torch.uint8
    assert torch.equal(maps[:1], ids) and torch.equal(maps[-1:], other)
    assert set(maps.unique().tolist()) <= {*ids.unique().tolist(), *other.unique().tolist()}


@given(label_maps(), st.integers(2, 4))
def test_nothing_changes_between_equal_maps(ids: Tensor, count: int) -> None:
    assert torch.equal(morph(ids, ids, count), ids.expand(count, -1, -1))


def test_a_border_moves_at_constant_speed() -> None:
    columns = torch.arange(40).expand(1, 8, 40)
    maps = morph(*(torch.where(columns < edge, 13, 1).byte() for edge in (8, 24)), count=5)
    assert [int((item == 13).sum()) // 8 for item in maps] == [8, 12, 16, 20, 24]


def test_a_patch_moves_as_a_whole() -> None:
    first, second = (torch.ones(1, 40, 60, dtype=torch.uint8) for _ in range(2))
    first[0, 10:18, 4:12] = second[0, 20:28, 44:52] = 4
    for step, item in enumerate(morph(first, second, 6)):
        places = (item == 4).nonzero().double()
        assert len(places) == 64
        assert places.mean(0).tolist() == [13.5 + 2 * step, 7.5 + 8 * step]


def test_a_face_moves_as_a_whole() -> None:
    first = drawn(8, size=192)
    second = edit(first, "move", dx=24, dy=10)
    for step, item in enumerate(morph(first, second, 3)):
        expected = edit(first, "move", dx=12 * step, dy=5 * step)[0]
        for c in (*range(2, 13), 15):
            assert int(((item == c) & (expected == c)).sum()) >= 0.9 * int((expected == c).sum()), CLASS_NAMES[c]


def test_what_only_one_map_has_fades_in_place() -> None:
    plain = drawn(1)
    glasses = edit(plain, "add glasses")
    areas = [int((item == 3).sum()) for item in morph(plain, glasses, 7)]
    assert areas == sorted(areas) and areas[3] > 0
    worn = glasses[0] == 3
    assert all(not ((item == 3) & ~worn).any() for item in morph(plain, glasses, 7))


def test_what_does_not_fit_is_refused() -> None:
    ids = drawn(1)
    with pytest.raises(MaskError, match="96x96 pixels and the second 96x48"):
        morph(ids, ids[:, :48], 3)
    with pytest.raises(MaskError, match="2 and 1 masks"):
        morph(drawn(1, 2), ids, 3)
    with pytest.raises(MaskError, match="count of 1"):
        morph(ids, ids, 1)
