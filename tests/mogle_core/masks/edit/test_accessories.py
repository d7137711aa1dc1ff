"""Hats, glasses and earrings on drawn faces: position, what they hide, and size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.label_maps import distances, drawn, label_maps
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.decouple import flip, resize
from mogle_core.masks.edit import STYLES, edit
from mogle_core.masks.edit.accessories import UNDER_EARRINGS, UNDER_GLASSES, UNDER_HAT
from mogle_core.masks.labels import CLASS_NAMES

ADDED = {"add hat": (14, UNDER_HAT), "add glasses": (3, UNDER_GLASSES), "add earrings": (15, UNDER_EARRINGS)}
KINDS = [(operation, style) for operation, styles in STYLES.items() for style in styles]
# Bare faces from in front, with both ears; 5 and 6 are turned.
FACES = (1, 13, 15)


def middle(area: Tensor) -> tuple[float, float]:
    row, column = area.nonzero().double().mean(0).tolist()
    return row, column


def overlap(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize(("operation", "style"), KINDS)
@given(ids=label_maps(), locked=st.sampled_from(["", "skin", "hair, background"]))
def test_only_their_own_class_is_added_over_what_it_may_hide(
    operation: str, style: str, ids: Tensor, locked: str
) -> None:
    try:
        result = edit(ids, operation, style=style, locked=locked)
    except MaskError as complaint:
        assert (
            "l_eye" in str(complaint)
            or "r_eye" in str(complaint)
            or "l_ear" in str(complaint)
            or ("in one place" in str(complaint) or "no skin and no hair" in str(complaint))
        )
        return
    added, under = ADDED[operation]
    changed = result != ids
    assert (result[changed] == added).all()
    hidden = set(under) - {CLASS_NAMES.index(name.strip()) for name in locked.split(",") if name}
    assert set(ids[changed].tolist()) <= hidden


@pytest.mark.parametrize("size", [16, 64, 200])
@pytest.mark.parametrize(("operation", "style"), KINDS)
def test_something_is_added_at_every_size(operation: str, style: str, size: int) -> None:
    ids = drawn(*FACES, size=size)
    added = ADDED[operation][0]
    for before, after in zip(ids, edit(ids, operation, style=style), strict=True):
        assert int((after == added).sum()) > int((before == added).sum())


@pytest.mark.parametrize(("operation", "style"), KINDS)
def test_the_shape_is_the_same_at_every_size(operation: str, style: str) -> None:
    added = ADDED[operation][0]
    small, large = (edit(drawn(1, size=size), operation, style=style) == added for size in (192, 384))
    assert overlap(resize(small, 384, 384), large) > (0.6 if operation == "add earrings" else 0.85)


@pytest.mark.parametrize(("operation", "style"), KINDS)
def test_the_mirrored_face_gets_the_mirrored_accessory(operation: str, style: str) -> None:
    ids, added = drawn(1, size=192), ADDED[operation][0]
    direct, mirrored = edit(ids, operation, style=style), flip(edit(flip(ids), operation, style=style))
    assert overlap(direct == added, mirrored == added) > 0.85


@pytest.mark.parametrize("style", STYLES["add glasses"])
def test_glasses_surround_both_eyes(style: str) -> None:
    for ids in drawn(*FACES, size=192):
        worn = edit(ids[None], "add glasses", style=style)[0]
        for eye in (4, 5):
            assert torch.equal(worn == eye, ids == eye)
            around = distances(ids == eye) <= 1
            assert set(worn[around].tolist()) <= {3, eye, eye + 2}, "glass, but for eye and brow"


@pytest.mark.parametrize("style", STYLES["add hat"])
def test_hats_cover_the_crown_and_no_feature(style: str) -> None:
    for ids in drawn(*FACES, 5, 6, size=192):
        worn = edit(ids[None], "add hat", style=style)[0]
        eyes = middle((ids == 4) | (ids == 5))[0]
        rows = (worn == 14).nonzero()[:, 0]
        assert rows.max() < eyes
        top = int((ids == 13).nonzero()[:, 0].min())
        assert not (worn[: top + 4] == 13).any(), "no hair stands out at the top"


@pytest.mark.parametrize("style", STYLES["add earrings"])
def test_earrings_hang_at_the_ends_of_the_ears(style: str) -> None:
    for ids in drawn(1, 15, size=192):
        worn = edit(ids[None], "add earrings", style=style)[0] == 15
        for ear in (8, 9):
            places = (ids == ear).nonzero()
            low, column = places[:, 0].max(), places[:, 1].double().mean()
            near = worn.nonzero()[(worn.nonzero()[:, 1] - column).abs() < 20]
            assert len(near) and abs(int(near[:, 0].min()) - int(low)) < 9


def test_one_ear_has_one_earring_and_hidden_eyes_do_not_matter() -> None:
    ids = edit(edit(drawn(1, size=192), "remove", "l_ear"), "remove", "r_eye")
    worn = edit(ids, "add earrings", style="stud") == 15
    assert (worn.nonzero()[:, 2] < 96).all(), "the right ear is on the picture's left"
    size = worn.nonzero()[:, 1:].float().std()
    full = (edit(drawn(1, size=192), "add earrings", style="stud") == 15)[:, :, :96].nonzero()[:, 1:].float().std()
    assert 0.7 < size / full < 1.4


@pytest.mark.parametrize(("operation", "missing"), [("add hat", "l_eye"), ("add glasses", "r_eye")])
def test_a_missing_eye_is_named_with_what_to_do(operation: str, missing: str) -> None:
    ids = edit(drawn(1), "remove", missing)
    side = {"l_eye": "left", "r_eye": "right"}[missing]
    with pytest.raises(MaskError, match=rf"no {side} eye \({missing}\), .*fitted to: paint it first, by Set Region"):
        edit(ids, operation)


def test_missing_ears_and_heads_are_named() -> None:
    ids = edit(edit(drawn(1), "remove", "l_ear"), "remove", "r_ear")
    with pytest.raises(MaskError, match=r"no left ear \(l_ear\) and no right ear"):
        edit(ids, "add earrings")
    eyes = torch.tensor([[[4, 0, 0, 5]]], dtype=torch.uint8)
    with pytest.raises(MaskError, match="no skin and no hair"):
        edit(eyes, "add hat")
    with pytest.raises(MaskError, match="in one place"):
        edit(torch.tensor([[[4, 5, 4]]], dtype=torch.uint8), "add glasses")


def test_a_tilted_head_gets_a_tilted_hat() -> None:
    upright = drawn(1, size=192)
    tilted = edit(upright, "rotate", amount=20)
    for operation, style in KINDS:
        added = ADDED[operation][0]
        worn = edit(edit(upright, operation, style=style), "rotate", amount=20) == added
        expected = 0.5 if operation == "add earrings" else 0.75
        assert overlap(worn, edit(tilted, operation, style=style) == added) > expected, (operation, style)
