"""Sheets of the gate: every map is below its heading, in the colours of its scale or its class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.mixture.gate_maps import COLOURS, GateFrames
from mogle_core.model.mixture.gate_sheet import CELL, LIMIT, as_image, heat_sheet, winner_sheet
from mogle_core.support.sheets import heat

MASKS = tuple(range(NUM_MASKS))


def frames(steps: int = 3, seed: int = 0) -> GateFrames:
    weights = torch.randn(steps, 2, 2, NUM_MASKS, generator=torch.Generator().manual_seed(seed)).softmax(-1)
    return GateFrames(torch.linspace(1, 0.1, steps), weights, MASKS)


def levels(sheet: object) -> Tensor:
    return torch.from_numpy(np.array(sheet))


def token(sheet: Tensor, column: int, row: int, y: int, x: int) -> list[int]:
    """The colour of a token in a sheet of maps with 2 x 2 tokens."""
    side = (CELL - 8) // 2
    return sheet[28 + row * CELL + y * side + side // 2, 150 + column * CELL + x * side + side // 2].tolist()


@pytest.mark.parametrize("one_scale", [False, True])
def test_heat_is_the_weight_over_the_largest_of_its_scale(one_scale: bool) -> None:
    shown, steps, experts = frames(), [0, 2], [0, 14, 3]
    sheet = levels(heat_sheet(shown, experts, steps, one_scale=one_scale))
    picked = shown.weights[steps][..., experts]
    highest = picked.max().expand(3) if one_scale else picked.amax((0, 1, 2))
    for row in range(2):
        for column in range(3):
            for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
                expected = heat(picked[row, y, x, column] / highest[column])
                assert token(sheet, column, row, y, x) == expected.tolist()


def test_a_grey_picture_shows_through() -> None:
    plain = levels(heat_sheet(frames(), [0], [0]))
    over = levels(heat_sheet(frames(), [0], [0], torch.ones(8, 8, 3)))
    assert token(over, 0, 0, 0, 0) != token(plain, 0, 0, 0, 0)
    assert (torch.tensor(token(over, 0, 0, 1, 1)) >= torch.tensor(token(plain, 0, 0, 1, 1))).all()


def test_winners_have_their_classes_colours() -> None:
    certain = torch.zeros(1, 2, 2, NUM_MASKS)
    for place, mask in enumerate((0, 2, 14, 18)):
        certain[0, place // 2, place % 2, mask] = 1
    sheet = levels(winner_sheet(GateFrames(torch.ones(1), certain, MASKS), MASKS, [0]))
    side = (CELL + CELL // 4 - 8) // 2
    for place, mask in enumerate((0, 2, 14, 18)):
        pixel = sheet[28 + (place // 2) * side + 20, (place % 2) * side + 20]
        assert pixel.tolist() == list(COLOURS[mask])


def test_a_legend_has_each_winners_colour_and_no_others() -> None:
    certain = torch.zeros(1, 2, 2, NUM_MASKS)
    certain[..., 14] = 1
    sheet = winner_sheet(GateFrames(torch.ones(1), certain, MASKS), MASKS, [0])
    legend = levels(sheet)[-24:].flatten(0, 1)
    assert (legend == torch.tensor(COLOURS[14])).all(-1).any()
    assert not (legend == torch.tensor(COLOURS[2])).all(-1).any()


@pytest.mark.parametrize(("experts", "steps"), [(20, 2), (2, 60), (20, 60)])
def test_sheets_stay_within_their_limit(experts: int, steps: int) -> None:
    shown = frames(steps)
    for sheet in (heat_sheet(shown, range(experts), range(steps)), winner_sheet(shown, MASKS, range(steps))):
        assert sheet.width <= LIMIT + CELL and sheet.height <= LIMIT + 2 * CELL


def test_an_image_is_the_sheet() -> None:
    sheet = heat_sheet(frames(), [1], [0])
    image = as_image(sheet)
    assert image.shape == (1, sheet.height, sheet.width, 3) and image.dtype == torch.float32
    assert torch.equal((image[0] * 255).round().to(torch.uint8), levels(sheet))
