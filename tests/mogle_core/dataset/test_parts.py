"""CelebAMask-HQ's part masks are merged in the official order, whatever the order of the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mogle_core.dataset import DatasetError, read_mask
from mogle_core.dataset.parts import ORDER, merge_parts
from mogle_core.masks.labels import CLASS_NAMES


def part(folder: Path, number: int, name: str, region: tuple[slice, slice], size: int = 32) -> None:
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[region] = 255
    path = folder / str(number // 2000) / f"{number:05d}_{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_later_parts_lie_over_earlier_ones(tmp_path: Path) -> None:
    """Part k covers columns k to the end, so each part stays visible in its first column."""
    for place, name in enumerate(ORDER):
        part(tmp_path / "anno", 2001, name, (slice(0, 8), slice(place, None)))
    assert merge_parts(tmp_path / "anno", tmp_path / "mask") == 1
    ids = read_mask(tmp_path / "mask/2001.png").ids[0]
    assert [CLASS_NAMES[number] for number in ids[0, : len(ORDER)].tolist()] == list(ORDER)
    assert int(ids[0, -1]) == CLASS_NAMES.index("cloth")
    assert int(ids[20].max()) == 0


def test_it_resumes_where_it_stopped(tmp_path: Path) -> None:
    for number in range(3):
        part(tmp_path / "anno", number, "skin", (slice(4, 20), slice(4, 20)))
    assert merge_parts(tmp_path / "anno", tmp_path / "mask") == 3
    (tmp_path / "mask/1.png").unlink()
    assert merge_parts(tmp_path / "anno", tmp_path / "mask") == 1


def test_parts_of_other_sizes_and_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="anno holds no part masks"):
        merge_parts(tmp_path / "anno", tmp_path / "mask")
    part(tmp_path / "anno", 0, "skin", (slice(0, 4), slice(0, 4)))
    part(tmp_path / "anno", 0, "hair", (slice(0, 4), slice(0, 4)), size=16)
    with pytest.raises(DatasetError, match=r"00000_hair\.png is \(16, 16\), the face's other parts \(32, 32\)"):
        merge_parts(tmp_path / "anno", tmp_path / "mask")


def stored(folder: Path, name: str, image: Image.Image, suffix: str = "png") -> None:
    (folder / "0").mkdir(parents=True, exist_ok=True)
    image.save(folder / f"0/00000_{name}.{suffix}")


def disc() -> np.ndarray:
    rows, columns = np.mgrid[:32, :32]
    return (rows - 15) ** 2 + (columns - 15) ** 2 < 100


def on_transparent(colour: tuple[int, int, int]) -> Image.Image:
    levels = np.zeros((32, 32, 4), np.uint8)
    levels[disc()] = (*colour, 255)
    return Image.fromarray(levels)


def white_under_transparency() -> Image.Image:
    """The region opaque and white, all around it white and transparent."""
    levels = np.full((32, 32, 4), 255, np.uint8)
    levels[~disc(), 3] = 0
    return Image.fromarray(levels)


def half_opaque() -> Image.Image:
    levels = np.zeros((32, 32, 4), np.uint8)
    levels[..., 3] = 255
    levels[disc(), :3] = 255
    return Image.fromarray(levels)


STORED = {
    "0 and 1": lambda: Image.fromarray(disc().astype(np.uint8)),
    "0 and 255": lambda: Image.fromarray(disc().astype(np.uint8) * 255),
    "0 and 128": lambda: Image.fromarray(disc().astype(np.uint8) * 128),
    "one bit": lambda: Image.fromarray(disc()),
    "16 bits, 0 and 1": lambda: Image.fromarray(disc().astype(np.uint16)),
    "16 bits, 0 and 65535": lambda: Image.fromarray(disc().astype(np.uint16) * 65535),
    "white on transparent": lambda: on_transparent((255, 255, 255)),
    "black on transparent": lambda: on_transparent((0, 0, 0)),
    "white under transparency": white_under_transparency,
    "opaque RGBA": half_opaque,
    "indexed 0 and 1": lambda: Image.fromarray(disc().astype(np.uint8) * 255).convert("P", palette=Image.Palette.WEB),
}


@pytest.mark.parametrize("form", STORED)
def test_a_part_has_its_region_however_it_is_stored(form: str, tmp_path: Path) -> None:
    stored(tmp_path / "anno", "hair", STORED[form]())
    assert merge_parts(tmp_path / "anno", tmp_path / "mask") == 1
    ids = read_mask(tmp_path / "mask/0.png").ids[0].numpy()
    assert np.array_equal(ids == CLASS_NAMES.index("hair"), disc())


@pytest.mark.parametrize("name", ["nose.PNG", "Nose.png", "NOSE.bmp", "nose.jpeg"])
def test_endings_and_names_in_capitals_are_read(name: str, tmp_path: Path) -> None:
    stem, suffix = name.split(".")
    stored(tmp_path / "anno", stem, Image.fromarray(disc().astype(np.uint8) * 255), suffix)
    assert merge_parts(tmp_path / "anno", tmp_path / "mask") == 1
    ids = read_mask(tmp_path / "mask/0.png").ids[0].numpy()
    assert np.array_equal(ids == CLASS_NAMES.index("nose"), disc())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("l_eyes", "l_eyes .1 file.. Was l_eye meant"),
        ("eyeg", "Was eye_g meant"),
        ("beard", r"beard \(1 file\).*Known are skin"),
    ],
)
def test_an_unknown_part_is_named(name: str, sentence: str, tmp_path: Path) -> None:
    stored(tmp_path / "anno", "skin", Image.fromarray(disc()))
    stored(tmp_path / "anno", name, Image.fromarray(disc()))
    with pytest.raises(DatasetError, match=sentence):
        merge_parts(tmp_path / "anno", tmp_path / "mask")


def test_hidden_part_files_are_left_out(tmp_path: Path) -> None:
    stored(tmp_path / "anno", "skin", Image.fromarray(disc()))
    (tmp_path / "anno/0/._00000_skin.png").write_bytes(b"resource fork")
    (tmp_path / "anno/0/.ipynb_checkpoints").mkdir()
    (tmp_path / "anno/0/.ipynb_checkpoints/00000_hair.png").write_bytes(b"nothing")
    assert merge_parts(tmp_path / "anno", tmp_path / "mask") == 1


def soft() -> Image.Image:
    rows, columns = np.mgrid[:32, :32]
    distance = np.hypot(rows - 15, columns - 15)
    return Image.fromarray(np.clip(255 - 12 * distance, 0, 255).astype(np.uint8))


UNCLEAR = {
    "three levels": lambda: Image.fromarray((disc() * 100 + np.roll(disc(), 16, 1) * 100).astype(np.uint8)),
    "soft": soft,
    "a photo": lambda: Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)),
    "ids": lambda: Image.fromarray((disc() * 1 + np.roll(disc(), 7, 0) * 1).astype(np.uint8)),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_a_part_of_unclear_values_is_named(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored(tmp_path / "anno", "hair", UNCLEAR[case]())
    assert merge_parts(tmp_path / "anno", tmp_path / "mask") == 1
    assert "00000_hair.png: " in caplog.text
    assert "neither black nor white" in caplog.text


@pytest.mark.parametrize("form", STORED)
def test_a_part_of_two_values_is_not(form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored(tmp_path / "anno", "hair", STORED[form]())
    stored(tmp_path / "anno", "nose", Image.fromarray(disc().astype(np.uint8) * 255), "jpeg")
    merge_parts(tmp_path / "anno", tmp_path / "mask")
    assert caplog.text == ""
