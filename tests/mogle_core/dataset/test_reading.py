"""Reading the files of a pair: images are upright, and masks give the same ids in every storage format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_sets import label_map

from mogle_core.dataset import DatasetError, read_mask, read_picture
from mogle_core.masks.decode import decode_image
from mogle_core.masks.decouple import index_image
from mogle_core.masks.labels import LABEL_SPACES, PALETTE, SIDED_BY_POSITION
from mogle_core.support.whole_files import write_png
from mogle_core.toy.drawer.faces import draw_face


@pytest.mark.parametrize("space", list(LABEL_SPACES))
def test_an_indexed_map_in_the_palette_reads_as_decoding_says(space: str, tmp_path: Path) -> None:
    ids = np.minimum(label_map(3), len(LABEL_SPACES[space]) - 1).astype(np.uint8)
    write_png(index_image(ids), tmp_path / "mask.png")
    found = read_mask(tmp_path / "mask.png", space)
    with Image.open(tmp_path / "mask.png") as image:
        expected = decode_image(image, space)
    assert torch.equal(found.ids, expected.ids)
    assert found.label_space == expected.label_space
    if space not in SIDED_BY_POSITION:
        table = torch.tensor(LABEL_SPACES[space], dtype=torch.uint8)
        assert torch.equal(found.ids[0], table[torch.from_numpy(ids).long()])


@pytest.mark.parametrize("mode", ["L", "RGB", "P with greys", "P in another order"])
def test_every_storage_gives_the_same_ids(mode: str, tmp_path: Path) -> None:
    ids = label_map(5)
    colours = np.array(PALETTE, dtype=np.uint8)
    if mode == "L":
        image = Image.fromarray(ids)
    elif mode == "RGB":
        image = Image.fromarray(colours[ids])
    elif mode == "P with greys":
        image = Image.fromarray(ids, "P")
        image.putpalette([level for index in range(256) for level in (index, index, index)])
    else:
        image = Image.fromarray((18 - ids).astype(np.uint8), "P")
        image.putpalette(colours[::-1].ravel().tolist())
    image.save(tmp_path / "mask.png")
    assert torch.equal(read_mask(tmp_path / "mask.png").ids[0], torch.from_numpy(ids))


def test_a_picture_is_upright_and_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((8, 4, 3), dtype=np.uint8)
    pixels[0] = 200
    rotated = Image.fromarray(pixels)
    exif = rotated.getexif()
    exif[0x0112] = 6  # to be turned a quarter
    rotated.save(tmp_path / "turned.png", exif=exif)
    assert read_picture(tmp_path / "turned.png").shape == (4, 8, 3)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    assert np.array_equal(read_picture(tmp_path / "grey.png"), pixels[..., :1].repeat(3, 2))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    for read in (read_picture, read_mask):
        with pytest.raises(DatasetError, match=r"a\.png: the (picture|mask) cannot be read"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("bits", ["I;16", "I;16 low", "I", "F", "F in 0..1"])
def test_a_grey_photo_of_more_than_eight_bits_is_scaled(bits: str, tmp_path: Path) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    image = {
        "I;16": lambda: Image.fromarray(grey.astype(np.uint16) * 257),
        "I;16 low": lambda: Image.fromarray((grey // 2).astype(np.uint16) * 257),
        "I": lambda: Image.fromarray(grey.astype(np.int32) * 257),
        "F": lambda: Image.fromarray(grey.astype(np.float32)),
        "F in 0..1": lambda: Image.fromarray(grey.astype(np.float32) / 255),
    }[bits]()
    image.save(tmp_path / "photo.tif")
    found = read_picture(tmp_path / "photo.tif")
    expected = grey // 2 if bits == "I;16 low" else grey
    assert np.array_equal(found, np.stack([expected] * 3, -1))


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("kind", ["indexed", "colours"])
def test_exif_turns_masks_and_photos_alike(orientation: int, kind: str, tmp_path: Path) -> None:
    ids = label_map(2, 32, 48)
    notes = Image.Exif()
    notes[0x0112] = orientation
    colours = Image.fromarray(np.array(PALETTE, np.uint8)[ids])
    write_png(index_image(ids), tmp_path / "plain.png")
    mask = Image.open(tmp_path / "plain.png") if kind == "indexed" else colours
    mask.save(tmp_path / "mask.png", exif=notes)
    colours.save(tmp_path / "photo.png", exif=notes)
    painted = np.array(PALETTE, np.uint8)[read_mask(tmp_path / "mask.png").ids[0].numpy()]
    assert np.array_equal(painted, read_picture(tmp_path / "photo.png"))


WARNED = {
    "off the palette": (
        lambda rgb, ids: np.where(np.indices(ids.shape).sum(0)[..., None] % 29 == 0, 128, rgb),
        "no palette",
    ),
    "a foreign numbering": (lambda rgb, ids: (ids + 7) % 19, "keeps only"),
    "upside down": (lambda rgb, ids: ids[::-1], "upside down"),
    "on its side": (lambda rgb, ids: np.rot90(ids), "a quarter to the"),
}


@pytest.mark.parametrize("case", WARNED)
def test_a_warning_about_a_mask_names_its_file(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = draw_face(3, 96).ids
    change, sentence = WARNED[case]
    path = tmp_path / "the_mask.png"
    Image.fromarray(change(np.array(PALETTE, np.uint8)[ids], ids).astype(np.uint8)).save(path)
    decoded = read_mask(path, "auto")
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{path}: ")
    assert sentence in said
    caplog.clear()
    with Image.open(path) as image:
        assert torch.equal(decode_image(image).ids, decoded.ids)
    assert str(path) not in caplog.text


@pytest.mark.parametrize("highest", [1.5, 2.0, 5.0, 31.0])
def test_a_photo_of_high_range_is_refused(highest: float, tmp_path: Path) -> None:
    """Of 255 levels it would be almost black."""
    levels = np.linspace(0, highest, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "a.tiff")
    with pytest.raises(DatasetError, match=rf"a.tiff: .*levels go up to {highest:g}, expected 1 or 255"):
        read_picture(tmp_path / "a.tiff")
