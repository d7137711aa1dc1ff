"""Grow, shrink and smooth against their definitions, pixel by pixel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.label_maps import classes, distances, drawn, label_maps
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.edit import edit
from mogle_core.masks.edit.fill import GROUND
from mogle_core.masks.labels import CLASS_NAMES

radii = st.integers(0, 6) | st.floats(0, 6, width=16)


def picked(draw: st.DataObject, ids: Tensor) -> int:
    """One of the classes in the maps."""
    return draw.draw(st.sampled_from(ids.unique().tolist()))


def near(area: Tensor, radius: float) -> Tensor:
    """The pixels within this radius of the area."""
    return distances(area) <= radius if bool(area.any()) else torch.zeros_like(area)


@given(label_maps(), radii, st.data())
def test_growing_adds_a_disk_round_every_pixel(ids: Tensor, radius: float, draw: st.DataObject) -> None:
    region = picked(draw, ids)
    grown = edit(ids, "grow", CLASS_NAMES[region], amount=radius)
    assert torch.equal(grown[0] == region, near(ids[0] == region, radius))
    elsewhere = grown != region
    assert torch.equal(grown[elsewhere], ids[elsewhere])


@given(label_maps(), radii, radii, st.data())
def test_growing_and_shrinking_are_monotone(ids: Tensor, one: float, other: float, draw: st.DataObject) -> None:
    region = picked(draw, ids)
    less, more = sorted((one, other))
    for operation, sign in (("grow", 1), ("shrink", -1)):
        areas = [edit(ids, operation, CLASS_NAMES[region], amount=r) == region for r in (0, less, more)]
        for a, b in ((areas[0], areas[1]), (areas[1], areas[2])):
            assert not (a & ~b).any() if sign > 0 else not (b & ~a).any()


@given(label_maps(), radii, st.data(), st.sets(classes, max_size=3))
def test_shrinking_retreats_from_what_lies_behind(
    ids: Tensor, radius: float, draw: st.DataObject, kept: set[int]
) -> None:
    region = picked(draw, ids)
    locked = kept - {region}
    shrunk = edit(ids, "shrink", CLASS_NAMES[region], amount=radius, locked=",".join(CLASS_NAMES[c] for c in locked))
    ground = set(GROUND) | ({3} if region in (4, 5, 6, 7) else {11, 12} if region == 10 else set())
    others = [set(range(19)) - {region} - locked]
    found = [torch.isin(ids[0], torch.tensor(sorted(c))) for c in (others[0] & ground, others[0])]
    sources = found[0] if bool(found[0].any()) else found[1]
    assert torch.equal(shrunk[0] == region, (ids[0] == region) & ~near(sources, radius))


@given(label_maps(), radii)
def test_with_two_classes_behind_shrinking_one_grows_the_other(ids: Tensor, radius: float) -> None:
    two = torch.where(ids % 2 == 0, 13, 1).to(torch.uint8)
    assert torch.equal(edit(two, "shrink", "hair", amount=radius), edit(two, "grow", "skin", amount=radius))


def test_eyes_do_not_shrink_the_skin() -> None:
    ids = drawn(1)
    shrunk = edit(ids, "shrink", "skin", amount=4)
    assert int((shrunk == 1).sum()) < int((ids == 1).sum())
    features = (ids >= 2) & (ids <= 7)
    assert torch.equal((shrunk >= 2) & (shrunk <= 7), features)


def test_a_region_can_shrink_to_nothing_and_grow_over_everything() -> None:
    ids = drawn(1)
    assert not (edit(ids, "shrink", "hair", amount=200) == 13).any()
    assert (edit(ids, "grow", "hair", amount=1e9) == 13).all()


@pytest.mark.parametrize("operation", ["grow", "shrink", "smooth"])
def test_amounts_below_nothing_are_refused(operation: str) -> None:
    with pytest.raises(MaskError, match=f"amount of {operation} is -2 pixels: choose 0 or more"):
        edit(drawn(1), operation, "hair", amount=-2)


def by_majority(ids: Tensor, radius: int) -> Tensor:
    result = ids.clone()
    for y, x in torch.cartesian_prod(*(torch.arange(side) for side in ids.shape)).tolist():
        window = ids[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
        counts = torch.bincount(window.flatten().long(), minlength=19)
        if counts.max() > counts[int(ids[y, x])]:
            result[y, x] = counts.argmax()
    return result


@given(label_maps(side=5), st.integers(0, 4))
def test_smoothing_takes_the_majority_and_keeps_the_class_in_a_tie(ids: Tensor, radius: int) -> None:
    assert torch.equal(edit(ids, "smooth", amount=radius)[0], by_majority(ids[0], radius))


@given(label_maps(side=5), st.integers(1, 4), st.data())
def test_smoothing_a_region_changes_only_what_joins_or_leaves_it(ids: Tensor, radius: int, draw: st.DataObject) -> None:
    region = picked(draw, ids)
    smoothed = edit(ids, "smooth", CLASS_NAMES[region], amount=radius)
    assert torch.equal(smoothed == region, edit(ids, "smooth", amount=radius) == region)
    changed = smoothed != ids
    assert ((smoothed[changed] == region) | (ids[changed] == region)).all()


def test_smoothing_removes_single_pixels() -> None:
    ids = torch.full((1, 9, 9), 1, dtype=torch.uint8)
    ids[0, 4, 4] = ids[0, 0, 0] = 13
    assert (edit(ids, "smooth", amount=1) == 1).all()
