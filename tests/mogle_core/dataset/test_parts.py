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
    assert int(ids[0, -1]) == CLASS_NAMES.index("cloth") and int(ids[20].max()) == 0


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
