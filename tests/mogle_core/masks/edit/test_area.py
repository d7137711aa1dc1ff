"""Set Region: an area becomes part of a region."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.label_maps import drawn, label_maps, names
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.decouple import region as region_of
from mogle_core.masks.decouple import resize
from mogle_core.masks.edit import edit, set_region
from mogle_core.masks.labels import CLASS_NAMES


@given(label_maps(batch=2), names, st.integers(0, 2**16))
def test_the_area_joins_the_region_and_nothing_else_changes(ids: Tensor, region: str, seed: int) -> None:
    area = torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed))
    c = CLASS_NAMES.index(region)
    result = set_region(ids, region, area)
    assert torch.equal(result == c, (ids == c) | (area >= 0.5))
    assert torch.equal(result[area < 0.5], ids[area < 0.5])


@given(label_maps(batch=2), st.data())
def test_a_region_set_to_itself_changes_nothing(ids: Tensor, draw: st.DataObject) -> None:
    c = draw.draw(st.sampled_from(ids.unique().tolist()))
    for keep in (True, False):
        assert torch.equal(set_region(ids, CLASS_NAMES[c], region_of(ids, c), keep=keep), ids)


@given(label_maps(), st.integers(0, 2**16), st.data())
def test_without_keep_the_region_is_the_area(ids: Tensor, seed: int, draw: st.DataObject) -> None:
    c = draw.draw(st.sampled_from(ids.unique().tolist()))
    area = torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed))
    result = set_region(ids, CLASS_NAMES[c], area, keep=False)
    if len(ids.unique()) > 1:
        assert torch.equal(result == c, area >= 0.5)
    gone = edit(ids, "remove", CLASS_NAMES[c]) if len(ids.unique()) > 1 else ids
    assert torch.equal(result[area < 0.5], gone[area < 0.5])


@given(label_maps(), names, names)
def test_locked_classes_stay(ids: Tensor, region: str, locked: str) -> None:
    if region == locked:
        with pytest.raises(MaskError, match="is locked"):
            set_region(ids, region, torch.ones(ids.shape), locked=locked)
        return
    for keep in (True, False):
        result = set_region(ids, region, torch.ones(ids.shape), keep=keep, locked=locked)
        kept = CLASS_NAMES.index(locked)
        assert torch.equal(result == kept, ids == kept)
        assert (result[ids != kept] == CLASS_NAMES.index(region)).all()


def test_areas_are_resized_and_shared() -> None:
    ids, area = drawn(1, 2), (torch.arange(24) % 2 == 0).float().expand(24, 24)
    expected = resize(area[None], 96, 96)
    assert torch.equal(set_region(ids, "hat", area), set_region(ids, "hat", expected))
    assert len(set_region(ids[:1], "hat", torch.ones(3, 96, 96))) == 3


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MaskError, match="2 masks and 3 areas"):
        set_region(drawn(1, 2), "hat", torch.ones(3, 8, 8))
    with pytest.raises(MaskError, match=r"shape \(1, 1, 8, 8\)"):
        set_region(drawn(1), "hat", torch.ones(1, 1, 8, 8))
    with pytest.raises(MaskError, match="no class 'hats'; the classes are background"):
        set_region(drawn(1), "hats", torch.ones(8, 8))
