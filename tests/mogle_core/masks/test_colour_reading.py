"""Which palette a mask is drawn in, and that no colour beside it is read as a neighbour's class in silence."""

from __future__ import annotations

import logging
from io import BytesIO
from itertools import combinations
from math import dist

import numpy as np
import pytest
import torch
from PIL import Image
from support.places import DATA
from torch import Tensor

from mogle_core.masks.decode import MaskError, decode_image, decode_tensor
from mogle_core.masks.labels import LABEL_SPACES, NUM_CLASSES
from mogle_core.masks.palettes import PALETTES, TOLERANCE, Palette

FIELD = DATA / "field"
MASKS = DATA / "masks"
NAMES = ["mm_celeba_27000", "portrait_b", "portrait_hat"]


def ids_of(name: str = "portrait_b") -> np.ndarray:
    return decode_image(Image.open(MASKS / f"{name}.png")).ids[0].numpy()


def drawn(name: str, palette: Palette) -> tuple[Image.Image, np.ndarray]:
    """A face in a palette's colours, and its ids; a class that the palette lacks is background."""
    space = LABEL_SPACES[palette.space or "celebamask"]
    source = np.zeros(NUM_CLASSES, np.uint8)
    for number, class_id in reversed(list(enumerate(space))):
        if number < len(palette.colours) and palette.colours[number] is not None:
            source[class_id] = number
    ids = ids_of(name)
    numbers = source[ids]
    table = np.array([colour or (0, 0, 0) for colour in palette.colours], np.uint8)
    return Image.fromarray(table[numbers]), np.where(numbers > 0, ids, 0)


def small(image: Image.Image, ground: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """The picture on a sixteenth of the frame."""
    frame = Image.new("RGB", image.size, ground)
    frame.paste(image.resize((image.width // 4, image.height // 4), Image.Resampling.NEAREST), (60, 90))
    return frame


def shares(ids: Tensor) -> set[int]:
    return set(ids.unique().tolist())


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.title)
@pytest.mark.parametrize("name", NAMES)
def test_each_palette_is_recognised(palette: Palette, name: str) -> None:
    image, ids = drawn(name, palette)
    decoded = decode_image(image)
    assert np.array_equal(decoded.ids[0], ids)
    assert decoded.label_space == (palette.space or "celebamask")
    assert decoded.off_palette == 0


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.title)
@pytest.mark.parametrize("how", ["small", "indexed", "quantised", "gif", "blue first"])
def test_a_palette_is_recognised_in_any_form(palette: Palette, how: str) -> None:
    image, _ = drawn("portrait_b", palette)
    plain = decode_image(image)
    if how == "small":
        decoded = decode_image(small(image))
        assert shares(decoded.ids) == shares(plain.ids)
        assert decoded.label_space == plain.label_space
        return
    if how == "gif":
        buffer = BytesIO()
        image.save(buffer, "GIF")
        other = Image.open(buffer)
    elif how == "blue first":
        other = Image.fromarray(np.array(image)[..., ::-1].copy())
    else:
        other = image.quantize(32 if how == "indexed" else 24)
    decoded = decode_image(other)
    assert torch.equal(decoded.ids, plain.ids)
    assert decoded.label_space == plain.label_space


def test_a_face_on_white_in_bisenets_colours_has_a_background() -> None:
    bisenet = next(palette for palette in PALETTES if palette.space == "bisenet")
    image, ids = drawn("portrait_b", bisenet)
    levels = np.array(image)
    levels[ids == 0] = 255
    assert np.array_equal(decode_image(Image.fromarray(levels)).ids[0], ids)


def test_the_palette_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        decoded = decode_image(Image.open(FIELD / "maskgan_palette.png"))
    assert "drawn in MaskGAN's palette: read as celebamask" in caplog.text
    assert "MaskGAN's palette" in decoded.summary()
    assert 7 in shares(decoded.ids)


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.title)
def test_no_two_classes_of_a_palette_share_their_tolerance(palette: Palette) -> None:
    assert 0 < palette.tolerance <= TOLERANCE
    for (one, first), (two, second) in combinations(palette.entries, 2):
        assert first == second or dist(one, two) > 2 * palette.tolerance, (one, two)


@pytest.mark.parametrize("colour", [(128, 128, 128), (102, 0, 204), (153, 76, 0), (255, 255, 255), (0, 128, 128)])
@pytest.mark.parametrize("class_id", [2, 5, 7, 12])
def test_a_region_in_a_foreign_colour_is_named(colour: tuple[int, int, int], class_id: int) -> None:
    image, ids = drawn("portrait_b", PALETTES[0])
    levels = np.array(image)
    levels[ids == class_id] = colour
    with pytest.raises(MaskError, match=rf"\({colour[0]}, {colour[1]}, {colour[2]}\) on (<0.1|[0-9.]+) % of the drawn"):
        decode_image(Image.fromarray(levels))


def test_a_small_face_in_unknown_colours_is_refused() -> None:
    colours = np.array([(0, 0, 0)] + [(13 * k % 256, 90 + 7 * k, 255 - 11 * k) for k in range(1, 19)], np.uint8)
    with pytest.raises(MaskError, match="are not in"):
        decode_image(small(Image.fromarray(colours[ids_of()])))


DARK = {
    "ids in red": lambda ids: np.stack((ids, 0 * ids, 0 * ids), -1),
    "ids in blue": lambda ids: np.stack((0 * ids, 0 * ids, ids), -1),
    "ids in green, doubled": lambda ids: np.stack((0 * ids, 2 * ids, 0 * ids), -1),
    "three maps": lambda ids: np.stack((ids, np.fliplr(ids), np.flipud(ids)), -1),
    "ids and instances": lambda ids: np.stack((ids, (ids > 0).astype(np.uint8), 0 * ids), -1),
    "ids with noise": lambda ids: np.stack(
        (ids, ids, np.clip(ids.astype(int) + (ids % 2), 0, 255).astype(np.uint8)), -1
    ),
}


@pytest.mark.parametrize("case", DARK)
@pytest.mark.parametrize("name", NAMES)
def test_ids_in_channels_are_refused(case: str, name: str) -> None:
    levels = DARK[case](ids_of(name))
    with pytest.raises(MaskError, match="almost black.*class ids|almost black.*id maps"):
        decode_image(Image.fromarray(levels))
    with pytest.raises(MaskError, match="almost black"):
        decode_tensor(torch.from_numpy(levels)[None] / 255)


def test_one_dark_picture_of_a_batch_is_refused() -> None:
    good = np.array(drawn("portrait_b", PALETTES[0])[0])
    batch = np.stack((good, DARK["ids in red"](ids_of())))
    with pytest.raises(MaskError, match="almost black"):
        decode_tensor(torch.from_numpy(batch) / 255)


def test_ids_in_one_channel_beside_a_bright_border_are_refused() -> None:
    levels = DARK["ids in red"](ids_of())
    levels[:8] = (255, 0, 0)
    with pytest.raises(MaskError, match="almost black colours"):
        decode_image(Image.fromarray(levels))


def test_colours_of_sixteen_bits_that_hold_ids_are_refused() -> None:
    ids = ids_of()
    wide = np.zeros((*ids.shape, 3), ">u2")
    wide[..., :] = ids[..., None]
    content = png_of_sixteen_bits(wide)
    with pytest.raises(MaskError, match="16 bits"):
        decode_image(Image.open(BytesIO(content)))


def png_of_sixteen_bits(levels: np.ndarray) -> bytes:
    """A PNG of 16-bit colours, which Pillow reads and does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("palette", PALETTES[2:], ids=lambda palette: palette.title)
def test_another_label_space_than_the_colours_is_refused(palette: Palette) -> None:
    image, _ = drawn("portrait_b", palette)
    for picture in (image, image.quantize(32)):
        with pytest.raises(MaskError, match=f"label space celebamask was chosen: choose auto or {palette.space}"):
            decode_image(picture, "celebamask")
        assert decode_image(picture, str(palette.space)).label_space == palette.space


def test_an_indexed_picture_in_unknown_colours_is_refused_unless_its_numbers_make_a_face() -> None:
    numbers = ids_of("portrait_hat")
    colours = np.array([(0, 0, 0)] + [(13 * k % 256, 90 + 7 * k, 255 - 11 * k) for k in range(1, 19)], np.uint8)

    def indexed(order: np.ndarray) -> Image.Image:
        image = Image.fromarray(order[numbers], "P")
        image.putpalette(colours[np.argsort(order)].flatten().tolist())
        return image

    as_ids = decode_image(indexed(np.arange(19, dtype=np.uint8)))
    assert np.array_equal(as_ids.ids[0], numbers)
    shuffled = np.random.default_rng(3).permutation(19).astype(np.uint8)
    with pytest.raises(MaskError, match="are not in"):
        decode_image(indexed(shuffled))


def voc_colours() -> np.ndarray:
    """The colours of PASCAL VOC's label maps: the bits of the number, spread over the channels from the top."""
    numbers = np.arange(256)
    channels = [sum(((numbers >> (3 * bit + place)) & 1) << (7 - bit) for bit in range(3)) for place in range(3)]
    return np.stack(channels, -1).astype(np.uint8)


FOREIGN = {
    "PASCAL VOC's colours": voc_colours(),
    "shuffled": np.random.default_rng(5).permutation(voc_colours()),
    "random": np.random.default_rng(6).integers(0, 256, (256, 3), dtype=np.uint8),
    "pastel": np.random.default_rng(7).integers(180, 240, (256, 3), dtype=np.uint8),
}


@pytest.mark.parametrize("colours", FOREIGN)
@pytest.mark.parametrize("space", ["celebamask", "farl", "bisenet", "facesynthetics"])
@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_numbers_under_a_foreign_palette_are_ids_if_the_space_is_given(colours: str, space: str, form: str) -> None:
    numbers = np.zeros(19, np.uint8)
    for number, class_id in reversed(list(enumerate(LABEL_SPACES[space]))):
        numbers[class_id] = number
    raw = numbers[ids_of("portrait_hat")]
    image = Image.fromarray(raw, "P")
    image.putpalette(FOREIGN[colours].flatten().tolist())
    buffer = BytesIO()
    image.save(buffer, form, **({"optimize": False} if form == "GIF" else {}))
    decoded = decode_image(Image.open(buffer), space)
    assert decoded.label_space == space
    assert torch.equal(decoded.ids, decode_image(Image.fromarray(raw), space).ids)
