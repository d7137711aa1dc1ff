"""The framing of aligned portraits: exact on whole pixels, invertible elsewhere, the photo unchanged outside."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.places import DATA
from torch import Tensor

from mogle_core.masks.decode import MaskError, decode_image
from mogle_core.masks.decouple import colours, flip, resize
from mogle_core.masks.labels import CLASSES
from mogle_core.parse.align import (
    Crop,
    Landmarks,
    align,
    align_ids,
    crop_of_landmarks,
    crop_of_mask,
    find_crops,
    fitted,
    matched,
    unalign,
)

MASKS = DATA / "masks"
IDS = {c.name: c.id for c in CLASSES}


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(seed))


def smooth(height: int, width: int) -> Tensor:
    """A photo without fine detail, so that sampling between pixels is nearly exact."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 3, width), indexing="ij")
    return torch.stack([x.sin(), y.cos(), (x + y).sin()], -1)[None] / 2 + 0.5


def box(left: int, top: int, side: int, width: int, height: int) -> Crop:
    return Crop((left + side / 2, top + side / 2), side, 0.0, width, height)


def stored(name: str = "mm_celeba_27000") -> Tensor:
    return decode_image(Image.open(MASKS / f"{name}.png")).ids


@settings(deadline=None)
@given(st.integers(0, 24), st.integers(0, 16), st.integers(1, 16))
def test_whole_pixels_are_cut_out_and_put_back_to_the_bit(left: int, top: int, side: int) -> None:
    photo, crop = noise(32, 40), box(left, top, side, 40, 32)
    cut = align(photo, (crop,), side)
    assert torch.equal(cut, photo[:, top : top + side, left : left + side])
    assert torch.equal(unalign(cut, photo, (crop,), 0.0), photo)
    torch.testing.assert_close(unalign(cut, photo, (crop,), 0.2), photo, atol=1e-6, rtol=0)


def test_a_whole_factor_is_the_mean_of_squares_and_its_inverse_repeats_it() -> None:
    photo, crop = noise(32, 32), box(4, 8, 16, 32, 32)
    cut = align(photo, (crop,), 4)
    expected = photo[:, 8:24, 4:20].unflatten(1, (4, 4)).unflatten(3, (4, 4)).mean((2, 4))
    torch.testing.assert_close(cut, expected)
    large = cut.repeat_interleave(8, 1).repeat_interleave(8, 2)  # 32 pixels where the photo has 16
    torch.testing.assert_close(align(unalign(large, photo, (crop,), 0.0), (crop,), 4), cut)


@settings(deadline=None, max_examples=30)
@given(
    st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.floats(0.2, 1.3), st.floats(-3.1, 3.1), st.sampled_from([64, 90, 150])
)
def test_an_unchanged_crop_gives_the_photo_back(x: float, y: float, share: float, angle: float, size: int) -> None:
    photo = smooth(100, 130)
    crop = Crop((130 * x, 100 * y), 100 * share, angle, 130, 100)
    returned = unalign(align(photo, (crop,), size), photo, (crop,), 0.1)
    torch.testing.assert_close(returned, photo, atol=0.01, rtol=0)


@settings(deadline=None, max_examples=30)
@given(st.floats(-20, 120), st.floats(-20, 120), st.floats(5, 150), st.floats(-3.1, 3.1), st.floats(0, 0.5))
def test_outside_of_the_box_the_photo_is_untouched(
    x: float, y: float, side: float, angle: float, feather: float
) -> None:
    photo = noise(100, 100)
    crop = Crop((x, y), side, angle, 100, 100)
    pasted = unalign(torch.full((1, 16, 16, 3), 2.0), photo, (crop,), feather)
    rows, columns = torch.meshgrid(torch.arange(100) + 0.5 - y, torch.arange(100) + 0.5 - x, indexing="ij")
    across = columns * math.cos(angle) + rows * math.sin(angle)
    down = rows * math.cos(angle) - columns * math.sin(angle)
    outside = torch.maximum(across.abs(), down.abs()) > side / 2 + 1e-3
    assert torch.equal(pasted[0][outside], photo[0][outside])
    inside = torch.maximum(across.abs(), down.abs()) < side / 2 * (1 - 2 * feather) - 1e-3
    assert (pasted[0][inside] == 2).all()


def test_the_seam_rises_over_the_feather() -> None:
    photo = torch.zeros(1, 100, 100, 3)
    pasted = unalign(torch.ones(1, 80, 80, 3), photo, (box(10, 10, 80, 100, 100),), 0.25)
    row = pasted[0, 50, :, 0]
    assert (row[:10] == 0).all()
    assert (row[30:70] == 1).all()
    assert (row[10:31].diff() > 0).all()
    assert row[20] == pytest.approx(0.5, abs=0.05)


def test_beyond_the_photo_its_border_is_repeated() -> None:
    photo = noise(8, 8)
    cut = align(photo, (box(-4, -4, 16, 8, 8),), 16)
    assert torch.equal(cut[:, 4:12, 4:12], photo)
    assert torch.equal(cut[:, 0, 0], photo[:, 0, 0])
    assert torch.equal(cut[:, 4:12, 15], photo[:, :, 7])
    ids = resize(stored(), 8, 8)
    assert torch.equal(align_ids(ids, (box(-4, -4, 16, 8, 8),), 16)[:, 4:12, 4:12], ids)


def test_a_label_map_is_cut_as_its_picture_is() -> None:
    ids = stored()
    crop = Crop((260.3, 240.9), 300, 0.3, 512, 512)
    cut = align_ids(ids, (crop,), 300)
    assert set(cut.unique().tolist()) <= set(ids.unique().tolist())
    apart = (align(colours(ids), (crop,), 300) - colours(cut)).abs().amax(-1) > 0.01
    assert apart.float().mean() < 0.1, "only along outlines, where the picture is blended"


def test_the_published_framing() -> None:
    """FFHQ's mean landmarks of an aligned 512-pixel portrait give nearly the whole image."""
    mean = Landmarks(left_eye=(318.9, 240.2), right_eye=(193.0, 239.9), mouth=(257.2, 371.3))
    crop = crop_of_landmarks(mean, 512, 512)
    assert crop.side == pytest.approx(504, abs=1)
    assert crop.centre == pytest.approx((256, 253), abs=2)
    assert crop.angle == pytest.approx(0, abs=0.01)


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.5, 3), st.floats(-50, 50), st.floats(-50, 50))
def test_framing_follows_position_tilt_and_size_of_the_face(angle: float, scale: float, x: float, y: float) -> None:
    def moved(point: tuple[float, float]) -> tuple[float, float]:
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        return cos * point[0] - sin * point[1] + x, sin * point[0] + cos * point[1] + y

    points = ((40.0, 30.0), (20.0, 31.0), (29.0, 52.0))
    plain = crop_of_landmarks(Landmarks(*points), 64, 64)
    found = crop_of_landmarks(Landmarks(*map(moved, points)), 64, 64)
    assert found.side == pytest.approx(scale * plain.side)
    assert found.centre == pytest.approx(moved(plain.centre))
    assert math.remainder(found.angle - plain.angle - angle, math.tau) == pytest.approx(0, abs=1e-9)


def test_a_parsed_portrait_is_framed_as_it_is() -> None:
    crop = crop_of_mask(stored()[0])
    assert crop.side / 512 == pytest.approx(0.9, abs=0.1)
    assert crop.centre == pytest.approx((256, 256), abs=20)
    assert abs(crop.angle) < 0.1


def test_framing_ignores_which_eye_is_left() -> None:
    ids = stored()
    swapped = flip(ids.flip(-1))
    assert not torch.equal(ids, swapped)
    assert crop_of_mask(swapped[0]) == crop_of_mask(ids[0])


def test_if_the_eyes_are_hidden_the_skin_is_used() -> None:
    ids = stored()[0]
    by_eyes = crop_of_mask(ids)
    hidden = torch.where((ids == IDS["l_eye"]) | (ids == IDS["r_eye"]), IDS["skin"], ids)
    by_skin = crop_of_mask(hidden)
    assert by_skin.angle == 0
    assert by_skin.side == pytest.approx(by_eyes.side, rel=0.15)
    assert by_skin.centre == pytest.approx(by_eyes.centre, abs=0.08 * 512)


def test_landmarks_come_before_the_mask() -> None:
    points = Landmarks((60, 40), (40, 40), (50, 60))
    photos, ids = torch.zeros(2, 512, 512, 3), stored().expand(2, -1, -1)
    by_points, by_mask = crop_of_landmarks(points, 512, 512), crop_of_mask(ids[0])
    assert find_crops([points, None], ids, photos) == (by_points, by_mask)
    assert find_crops(None, ids, photos) == (by_mask, by_mask)


def test_what_cannot_be_aligned_is_reported() -> None:
    photos, empty = torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 8, dtype=torch.uint8)
    with pytest.raises(MaskError, match="nothing to find the face by: connect Parse Face's mask.*yunet_2023mar.onnx"):
        find_crops(None, None, photos)
    with pytest.raises(MaskError, match="YuNet finds no face in picture 1: connect"):
        find_crops([None], None, photos)
    with pytest.raises(MaskError, match="shows no face"):
        find_crops(None, empty, photos)
    with pytest.raises(MaskError, match="lie on one point"):
        crop_of_landmarks(Landmarks((4, 4), (4, 4), (4, 4)), 8, 8)
    with pytest.raises(MaskError, match="2 masks and 3 pictures"):
        fitted(empty.expand(2, -1, -1), photos.expand(3, -1, -1, -1))


def test_a_mask_of_another_size_is_fitted_to_the_photos() -> None:
    ids = stored()
    assert torch.equal(fitted(ids, torch.zeros(2, 100, 130, 3)), resize(ids, 100, 130).expand(2, -1, -1))


def test_several_results_go_into_one_photo_and_what_does_not_fit_is_refused() -> None:
    photo, crop = noise(20, 30), box(4, 4, 10, 30, 20)
    pictures, photos, crops = matched(torch.rand(3, 8, 8, 3), photo, (crop,))
    assert len(pictures) == len(photos) == len(crops) == 3
    assert unalign(pictures, photos, crops).shape == (3, 20, 30, 3)
    with pytest.raises(MaskError, match="2 faces, 3 photos and 1 crops"):
        matched(torch.rand(2, 8, 8, 3), photo.expand(3, -1, -1, -1), (crop,))
    with pytest.raises(MaskError, match="a face of 8x6 pixels; an aligned one is square"):
        matched(torch.rand(1, 6, 8, 3), photo, (crop,))
    with pytest.raises(MaskError, match="photo of 30x20 pixels, but this photo has 8x8"):
        matched(torch.rand(1, 8, 8, 3), torch.rand(1, 8, 8, 3), (crop,))
