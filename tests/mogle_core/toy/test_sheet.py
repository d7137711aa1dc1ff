"""The contact sheet holds every image, unchanged except for its scale."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mogle_core.masks.decouple import colours, decode_image, index_image
from mogle_core.masks.labels import NUM_CLASSES
from mogle_core.support.sheets import heat
from mogle_core.toy.sheet import CELL, GateMap, Row, contact_sheet, overlay

IDS = torch.randint(0, 19, (64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
GREY = torch.full((64, 64, 3), 128, dtype=torch.uint8)


def test_an_overlay_is_the_picture_tinted_and_lined_in_the_classes_colours() -> None:
    ids = torch.zeros(8, 8, dtype=torch.uint8)
    ids[:, 4:] = 1
    shown = overlay(torch.full((8, 8, 3), 100, dtype=torch.uint8), ids)
    assert shown[0, 0].tolist() == [70, 70, 70]  # 0.7 * 100 under background's black
    assert shown[0, 4].tolist() == [188, 15, 15]  # 0.15 * 100 + 0.85 * skin's (204, 0, 0)
    assert shown[0, 6].tolist() == [131, 70, 70]


def test_an_indexed_mask_is_read_back_as_it_was() -> None:
    ids = torch.arange(NUM_CLASSES, dtype=torch.uint8).repeat_interleave(30).reshape(19, 30)
    stored = io.BytesIO()
    index_image(ids).save(stored, "png")
    assert torch.equal(decode_image(Image.open(stored)).ids[0], ids)


@pytest.mark.parametrize("maps", [0, 2])
def test_a_sheet_holds_each_picture(maps: int) -> None:
    rows = [Row("first", "a prompt", IDS, GREY, IDS), Row("second", "", None, GREY, IDS)]
    gates = [GateMap(f"expert {n}", torch.rand(3, 4, 4)) for n in range(maps)]
    sheet = torch.from_numpy(np.array(contact_sheet(rows, ["early", "middle", "late"], gates)))
    shown = (colours(IDS[None])[0] * 255).to(torch.uint8)
    for picture in (shown, GREY, overlay(GREY, IDS)):
        assert holds(sheet, picture.repeat_interleave(CELL // 64, 0).repeat_interleave(CELL // 64, 1))
    assert holds(sheet, torch.full((CELL, CELL, 3), 1, dtype=torch.uint8)) is False
    # Each map reaches the top of its own scale, at one of its 16 tokens in one of its rows.
    assert bool((sheet == heat(torch.ones(()))).all(-1).any()) == bool(maps)


def holds(sheet: torch.Tensor, picture: torch.Tensor) -> bool:
    """Whether the image appears somewhere in the sheet, with every pixel."""
    height, width = picture.shape[:2]
    starts = (sheet[:-height, :-width] == picture[0, 0]).all(-1).nonzero()
    return any(torch.equal(sheet[y : y + height, x : x + width], picture) for y, x in starts.tolist())
