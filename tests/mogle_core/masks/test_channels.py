"""Class ids in a colour or opacity channel are refused, and lossily stored colours are not mistaken for them."""

from __future__ import annotations

import logging
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from support.places import DATA

from mogle_core.masks.decode import MaskError, decode_image, decode_tensor
from mogle_core.masks.labels import LABEL_SPACES, PALETTE

MASKS = DATA / "masks"
NAMES = ["mm_celeba_27000", "portrait_b", "portrait_hat"]


def ids_of(name: str = "portrait_b") -> np.ndarray:
    return decode_image(Image.open(MASKS / f"{name}.png")).ids[0].numpy()


def coloured(name: str = "portrait_b") -> Image.Image:
    return Image.fromarray(np.array(PALETTE, np.uint8)[ids_of(name)])


def in_opacity(ids: np.ndarray) -> np.ndarray:
    return np.stack((0 * ids, 0 * ids, 0 * ids, ids), -1)


OPACITY = {
    "ids": (in_opacity, "class ids up to .* in the alpha channel"),
    "ids, doubled": (lambda ids: in_opacity(2 * ids), "class ids up to .* in the alpha channel"),
    "ids from the top": (lambda ids: in_opacity(255 - ids), "one region only, by being opaque"),
    "one region": (lambda ids: in_opacity(np.where(ids == 13, 255, 0).astype(np.uint8)), "one region only"),
    "a soft region": (lambda ids: in_opacity((ids * 14).astype(np.uint8)), "one region only"),
}


@pytest.mark.parametrize("case", OPACITY)
@pytest.mark.parametrize("name", NAMES)
def test_a_black_picture_with_a_drawing_in_its_opacity_is_refused(case: str, name: str) -> None:
    change, sentence = OPACITY[case]
    levels = change(ids_of(name))
    for read in (
        lambda: decode_image(Image.fromarray(levels)),
        lambda: decode_image(Image.fromarray(levels[..., 2:], "LA")),
        lambda: decode_tensor(torch.from_numpy(levels)[None] / 255),
    ):
        with pytest.raises(MaskError, match=f"only its transparency differs.*{sentence}"):
            read()


def test_one_such_picture_of_a_batch_is_refused() -> None:
    good = np.dstack((np.array(coloured()), np.full_like(ids_of(), 255)))
    batch = np.stack((good, in_opacity(ids_of())))
    with pytest.raises(MaskError, match="only its transparency differs"):
        decode_tensor(torch.from_numpy(batch) / 255)


@pytest.mark.parametrize("opacity", [255, 128, 1])
def test_a_black_picture_of_one_opacity_is_background(opacity: int) -> None:
    levels = in_opacity(np.full((16, 16), opacity, np.uint8))
    assert decode_image(Image.fromarray(levels)).ids.eq(0).all()


def test_colours_whose_opacity_are_their_ids_are_read() -> None:
    ids = ids_of()
    levels = np.dstack((np.array(coloured()), ids))
    assert np.array_equal(decode_image(Image.fromarray(levels)).ids[0], ids)


BESIDE = {
    "blue is full": lambda ids: np.stack((ids, 0 * ids, 0 * ids + 255), -1),
    "red marks the face": lambda ids: np.stack((np.where(ids > 0, 255, 0).astype(np.uint8), 0 * ids, ids), -1),
    "green is full, two ids": lambda ids: np.stack((ids, 0 * ids + 255, ids), -1),
    "doubled beside full green": lambda ids: np.stack((0 * ids, 0 * ids + 255, ids + ids // 4), -1),
}


@pytest.mark.parametrize("case", BESIDE)
@pytest.mark.parametrize("name", NAMES)
def test_ids_beside_a_constant_channel_are_refused(case: str, name: str) -> None:
    levels = BESIDE[case](ids_of(name))
    for read in (
        lambda: decode_image(Image.fromarray(levels)),
        lambda: decode_image(Image.fromarray(levels).quantize(64)),
        lambda: decode_tensor(torch.from_numpy(levels)[None] / 255),
    ):
        with pytest.raises(MaskError, match="almost the same|not in|almost black colours"):
            read()


def test_three_ids_beside_a_constant_channel_are_refused() -> None:
    ids = np.minimum(ids_of(), 2)
    with pytest.raises(
        MaskError, match=r"3 colours .* almost the same \(\(0, 0, 255\), \(1, 0, 255\), \(2, 0, 255\)\)"
    ):
        decode_image(Image.fromarray(BESIDE["blue is full"](ids)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("form", "quality"), [("WEBP", 90), ("WEBP", 80), ("WEBP", 50), ("WEBP", 20), ("JPEG", 50)])
def test_lossily_stored_colours_are_not_taken_for_ids(name: str, form: str, quality: int) -> None:
    """WebP stores black as many nearly black colours, which fill up to 20 % of these pictures."""
    buffer = BytesIO()
    coloured(name).save(buffer, form, quality=quality)
    assert (decode_image(Image.open(buffer)).ids[0].numpy() == ids_of(name)).mean() > 0.99


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quality", [90, 50])
@pytest.mark.parametrize("colours", [24, 64])
def test_lossily_stored_colours_are_read_or_refused_once_they_are_quantised(
    name: str, quality: int, colours: int
) -> None:
    buffer = BytesIO()
    coloured(name).save(buffer, "WEBP", quality=quality)
    try:
        decoded = decode_image(Image.open(buffer).quantize(colours))
    except MaskError as error:
        assert "stored lossily" in str(error) or "not in the CelebAMask-HQ palette" in str(error)
        return
    assert (decoded.ids[0].numpy() == ids_of(name)).mean() > 0.99


@pytest.mark.parametrize("space", ["celebamask", "farl", "bisenet"])
def test_an_indexed_picture_without_colours_is_read_by_its_numbers_if_they_make_a_face(space: str) -> None:
    numbers = np.zeros(19, np.uint8)
    for number, class_id in enumerate(LABEL_SPACES[space]):
        numbers[class_id] = number
    image = Image.fromarray(numbers[ids_of("portrait_hat")], "P")
    image.putpalette([0] * 768)
    decoded = decode_image(image)
    assert decoded.label_space == space
    assert np.array_equal(decoded.ids[0], ids_of("portrait_hat"))


@pytest.mark.parametrize("change", [lambda ids: ids + 100, lambda ids: np.minimum(ids, 1), lambda ids: 18 - ids])
def test_other_indexed_pictures_without_colours_are_refused(change) -> None:  # type: ignore[no-untyped-def]
    image = Image.fromarray(change(ids_of()).astype(np.uint8), "P")
    image.putpalette([0] * 768)
    with pytest.raises(MaskError, match="palette is black throughout"):
        decode_image(image)


@pytest.mark.parametrize("form", ["GIF", "TIFF", "PNG", "WEBP"])
def test_a_file_of_several_pictures_is_said(form: str, caplog: pytest.LogCaptureFixture) -> None:
    buffer = BytesIO()
    more = {"lossless": True} if form == "WEBP" else {}
    coloured().save(buffer, form, save_all=True, append_images=[coloured("portrait_hat")], **more)
    with caplog.at_level(logging.WARNING):
        decoded = decode_image(Image.open(buffer))
    assert np.array_equal(decoded.ids[0], ids_of())
    assert "holds 2 pictures, of which the first is read" in caplog.text
