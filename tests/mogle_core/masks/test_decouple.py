"""Label maps: resizing, colours, flipping, and the 20 masks with their keys."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.places import DATA
from torch import Tensor

from mogle_core.masks.decouple import (
    NUM_MASKS,
    Decoupled,
    MaskError,
    colours,
    decode_image,
    flip,
    region,
    regions,
    resize,
)
from mogle_core.masks.labels import FLIPPED, NUM_CLASSES, PALETTE

MASKS = DATA / "masks"


@st.composite
def label_maps(draw: st.DrawFn) -> Tensor:
    batch, height, width = (draw(st.integers(1, limit)) for limit in (2, 7, 7))
    ids = draw(st.lists(st.integers(0, 18), min_size=batch * height * width, max_size=batch * height * width))
    return torch.tensor(ids, dtype=torch.uint8).view(batch, height, width)


def face() -> Tensor:
    return decode_image(Image.open(MASKS / "portrait_hat.png")).ids


sizes = st.integers(1, 20)


@given(label_maps(), sizes, sizes)
def test_resizing_adds_no_class_and_keeps_batch_and_type(ids: Tensor, height: int, width: int) -> None:
    resized = resize(ids, height, width)
    assert resized.shape == (ids.shape[0], height, width) and resized.dtype == torch.uint8
    assert set(resized.unique().tolist()) <= set(ids.unique().tolist())


@given(label_maps(), st.integers(1, 5), st.integers(1, 5))
def test_enlarging_by_whole_numbers_repeats_and_shrinking_undoes_it(ids: Tensor, rows: int, columns: int) -> None:
    height, width = ids.shape[1:]
    enlarged = resize(ids, rows * height, columns * width)
    assert torch.equal(enlarged, ids.repeat_interleave(rows, 1).repeat_interleave(columns, 2))
    assert torch.equal(resize(enlarged, height, width), ids)


def test_resizing_to_the_same_size_is_the_same_tensor() -> None:
    ids = face()
    assert resize(ids, 512, 512) is ids


@pytest.mark.parametrize("size", [(1024, 1024), (333, 500), (64, 48), (777, 1)])
def test_resizing_is_torchs_nearest_exact(size: tuple[int, int]) -> None:
    ids = face()
    expected = torch.nn.functional.interpolate(ids[:, None].double(), size, mode="nearest-exact")[:, 0]
    assert torch.equal(resize(ids, *size), expected.byte())


def test_a_side_of_zero_is_refused() -> None:
    with pytest.raises(MaskError, match="5x0"):
        resize(face(), 0, 5)


def test_colours_are_the_palette() -> None:
    painted = colours(torch.arange(NUM_CLASSES, dtype=torch.uint8).view(1, 1, -1))
    assert painted.dtype == torch.float32
    assert (painted[0, 0] * 255).round().int().tolist() == [list(rgb) for rgb in PALETTE]


@given(label_maps())
def test_regions_part_the_picture(ids: Tensor) -> None:
    parts = regions(ids)
    assert parts.shape == (ids.shape[0], NUM_CLASSES, *ids.shape[1:])
    assert torch.equal(parts.sum(1), torch.ones(ids.shape))
    assert torch.equal(parts.argmax(1).byte(), ids)
    assert torch.equal(parts[:, 13], region(ids, 13))


@given(label_maps())
def test_flipping_mirrors_and_swaps_sides(ids: Tensor) -> None:
    flipped = flip(ids)
    assert torch.equal(flip(flipped), ids)
    assert int(flipped[0, 0, 0]) == FLIPPED[int(ids[0, 0, -1])]


@given(label_maps())
def test_the_20_masks_are_the_full_one_and_the_classes(ids: Tensor) -> None:
    decoupled = Decoupled(ids)
    for index in range(decoupled.batch):
        masks = decoupled.mask_images(index)
        assert masks.shape == (NUM_MASKS, *ids.shape[1:], 3) and masks.dtype == torch.float32
        assert torch.equal(masks[0], colours(ids)[index])
        for channel in masks[1:].unbind(-1):
            assert torch.equal(channel, regions(ids)[index])


def test_blank_local_masks_are_black_and_the_full_one_is_not() -> None:
    blank, correct = Decoupled(face(), "blank"), Decoupled(face())
    assert not blank.mask_images(0)[1:].any()
    assert torch.equal(blank.mask_image(0, 0), correct.mask_image(0, 0))


@given(label_maps(), label_maps(), st.sampled_from(["correct", "blank"]))
def test_keys_are_equal_exactly_if_pictures_are(first: Tensor, second: Tensor, local_masks: str) -> None:
    keyed = [
        (key, picture)
        for decoupled in (Decoupled(first), Decoupled(second, local_masks))  # type: ignore[arg-type]
        for index in range(decoupled.batch)
        for key, picture in zip(decoupled.keys(index), decoupled.mask_images(index), strict=True)
    ]
    for key, picture in keyed:
        for other_key, other in keyed:
            assert (key == other_key) == torch.equal(picture, other)


def test_absent_classes_share_one_key() -> None:
    keys = Decoupled(face()).keys(0)
    assert len(set(keys)) == 1 + 15 + 1, "the full mask, the 15 classes that are there, black"
    assert len(set(Decoupled(face(), "blank").keys(0))) == 2


def test_an_all_background_map_is_black_but_for_its_background_mask() -> None:
    keys = Decoupled(torch.zeros(1, 4, 4, dtype=torch.uint8)).keys(0)
    assert keys[0] == keys[2] != keys[1]
    assert set(keys[2:]) == {keys[0]}


def test_equal_pictures_of_other_sizes_have_other_keys() -> None:
    wide, tall = (Decoupled(torch.ones(1, *size, dtype=torch.uint8)) for size in ((2, 8), (8, 2)))
    assert not set(wide.keys(0)) & set(tall.keys(0))


def test_a_resized_decoupling_keeps_its_kind() -> None:
    resized = Decoupled(face(), "blank").resized(64, 48)
    assert (resized.height, resized.width, resized.local_masks) == (64, 48, "blank")
    assert torch.equal(resized.ids, resize(face(), 64, 48))


def test_what_is_no_label_map_is_refused() -> None:
    with pytest.raises(MaskError, match=r"shape \(4, 4\)"):
        Decoupled(torch.zeros(4, 4, dtype=torch.uint8))
    with pytest.raises(MaskError, match="float32"):
        Decoupled(torch.zeros(1, 4, 4))
    with pytest.raises(MaskError, match="id 19"):
        Decoupled(torch.full((1, 4, 4), 19, dtype=torch.uint8))
    with pytest.raises(MaskError, match="'official'"):
        Decoupled(face(), "official")  # type: ignore[arg-type]
    with pytest.raises(MaskError, match="Mask 20 was asked for"):
        Decoupled(face()).mask_image(0, 20)
