"""How uncovered pixels are filled."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.label_maps import classes, distances, drawn, label_maps
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.edit import edit
from mogle_core.masks.labels import CLASS_NAMES


@given(label_maps(), st.data())
def test_removing_leaves_no_pixel_and_changes_no_other(ids: Tensor, draw: st.DataObject) -> None:
    region = draw.draw(st.sampled_from(ids.unique().tolist()))
    if len(ids.unique()) == 1:
        with pytest.raises(MaskError, match=f"no other class than {CLASS_NAMES[region]}"):
            edit(ids, "remove", CLASS_NAMES[region])
        return
    removed = edit(ids, "remove", CLASS_NAMES[region])
    assert not (removed == region).any()
    assert torch.equal(removed[ids != region], ids[ids != region])


@given(label_maps(), st.data())
def test_what_is_filled_has_the_nearest_class(ids: Tensor, draw: st.DataObject) -> None:
    grounds = torch.tensor([0, 1, 13, 14, 17, 18], dtype=torch.uint8)[(ids % 6).long()]
    grounds[0, 0, 0] = 9
    region = draw.draw(st.sampled_from(grounds.unique().tolist()))
    if len(grounds.unique()) == 1:
        return
    removed = edit(grounds, "remove", CLASS_NAMES[region])[0]
    away = {c: distances(grounds[0] == c) for c in grounds.unique().tolist() if c != region}
    least = torch.stack(list(away.values())).amin(0)
    for c in away:
        assert torch.equal(away[c][removed == c], least[removed == c])


def test_classes_that_cannot_lie_behind_the_region_do_not_grow() -> None:
    ids = drawn(0, 8)
    removed = edit(ids, "remove", "eye_g")
    for feature in ("l_eye", "r_eye", "l_brow", "r_brow", "nose"):
        c = CLASS_NAMES.index(feature)
        assert torch.equal(removed == c, ids == c), feature
    assert set(removed[ids == 3].tolist()) <= {0, 1, 8, 9, 13}


def test_an_eye_behind_glasses_leaves_glass_and_a_mouth_closes() -> None:
    ids = drawn(8)
    assert set(edit(ids, "remove", "l_eye")[ids == 4].tolist()) == {3}
    ids = drawn(1)
    assert (ids == 10).any()
    assert set(edit(ids, "remove", "mouth")[ids == 10].tolist()) == {11, 12}


def test_features_fill_if_there_is_no_other_class() -> None:
    ids = torch.tensor([[[2, 3, 3, 4]]], dtype=torch.uint8)
    assert edit(ids, "remove", "eye_g").tolist() == [[[2, 2, 4, 4]]]


@given(label_maps(), st.sets(classes))
def test_locked_classes_fill_nothing(ids: Tensor, locked: set[int]) -> None:
    region = int(ids[0, 0, 0])
    kept = ",".join(CLASS_NAMES[c] for c in locked - {region})
    if set(ids.unique().tolist()) <= locked | {region}:
        with pytest.raises(MaskError, match="no other .*than .*: "):
            edit(ids, "remove", CLASS_NAMES[region], locked=kept)
        return
    removed = edit(ids, "remove", CLASS_NAMES[region], locked=kept)
    assert not (removed == region).any()
    for c in locked - {region}:
        assert torch.equal(removed == c, ids == c)
