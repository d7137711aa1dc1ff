"""The parts of sheets: brightness rises with the value, and images keep their pixels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from mogle_core.support.sheets import GAP, beside, framed, heads, heat, label, picture_of, scale, stack


def test_heat_rises_in_lightness_from_dark_to_light() -> None:
    shown = heat(torch.linspace(0, 1, 101)).double()
    lightness = shown @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)
    assert (lightness.diff() > 0).all()
    assert lightness[0] < 30
    assert lightness[-1] > 230


def test_a_scale_runs_from_0_at_the_bottom_up() -> None:
    bar = torch.from_numpy(np.array(scale("1.00", 101)))[:, 0]
    assert torch.equal(bar, heat(torch.linspace(1, 0, 101)))


def test_pictures_stay_as_they_are() -> None:
    levels = torch.randint(256, (5, 7, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    sheet = stack([beside([framed(picture_of(levels)), picture_of(levels)]), picture_of(levels)])
    assert sheet.size == (2 * 7 + GAP, 5 + GAP + 5)
    shown = torch.from_numpy(np.array(sheet))
    for y, x in ((0, 0), (0, 7 + GAP), (5 + GAP, 0)):
        assert torch.equal(shown[y : y + 5, x : x + 7], levels)
    assert (shown[5 : 5 + GAP] == 255).all()


def test_words_are_written_and_wrapped() -> None:
    def ink(image: Image.Image) -> int:
        return int((np.array(image.convert("L")) < 200).sum())

    assert ink(label("", "", (200, 100))) == 0
    assert ink(label("title", "", (200, 100))) > 0
    wrapped = label("", "one word after another until the line is full", (120, 100))
    assert ink(wrapped.crop((0, 30, 120, 100))) > 0
    titles = heads(["a", "b"], 50, 80)
    assert titles.width == 210
    assert ink(titles.crop((0, 0, 50, titles.height))) == 0
