"""Sketches: paper is told from ink by the border, lines keep their place, and the makers draw a face's edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mogle_core.masks.decouple import colours
from mogle_core.model.conditions import KINDS, lines
from mogle_core.model.conditions.sketch import make, on_black, picture

SIZE = (64, 64)


def drawing(level: float = 1.0) -> Tensor:
    """A line across and a line down, (1, 64, 64, 3)."""
    levels = torch.zeros(1, *SIZE)
    levels[:, 30:32, 8:56] = level
    levels[:, 8:56, 20:22] = level
    return levels[..., None].expand(-1, -1, -1, 3)


def disc() -> tuple[Tensor, Tensor]:
    """A label map with a disc of skin, and its photo: (64, 64), (64, 64, 3)."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    ids = ((x - 32) ** 2 + (y - 32) ** 2 < 20**2).to(torch.uint8)
    return ids, colours(ids[None])[0]


def test_both_kinds_are_there_in_their_order() -> None:
    assert list(KINDS) == ["sketch", "landmarks"]


@pytest.mark.parametrize("level", [1.0, 0.4])
def test_white_on_black_stays_as_it_is(level: float) -> None:
    assert torch.equal(picture(drawing(level), SIZE), drawing(level))


def test_a_drawing_on_white_is_turned_round() -> None:
    torch.testing.assert_close(picture(1 - drawing(0.7), SIZE), drawing(0.7))


def test_grey_paper_becomes_black() -> None:
    """A photo of a drawing: the paper is not quite white."""
    shown = picture(0.9 - 0.8 * drawing(), SIZE)
    assert shown[drawing() == 0].max() == 0
    assert shown[drawing() == 1].min() > 0.85


def test_each_picture_of_a_batch_has_its_own_paper() -> None:
    both = torch.cat((drawing(), 1 - drawing()))
    torch.testing.assert_close(picture(both, SIZE), drawing().expand(2, -1, -1, -1))


def test_lines_that_reach_the_border_do_not_turn_it_round() -> None:
    shown = drawing()[..., 0].clone()
    shown[:, 20] = 1
    assert torch.equal(on_black(shown), shown)


@pytest.mark.parametrize("size", [(32, 32), (128, 128), (48, 80)])
def test_resized_lines_stay_in_their_place(size: tuple[int, int]) -> None:
    shown = picture(drawing(), size)
    assert shown.shape == (1, *size, 3)
    rows = shown[0, :, :, 0].sum(1)
    assert abs(int(rows.argmax()) / size[0] - 31 / 64) < 0.03
    assert shown.mean() == pytest.approx(float(drawing().mean()), rel=0.05)


@pytest.mark.parametrize("style", range(4))
def test_every_style_draws_the_disc_and_nothing_else(style: int) -> None:
    ids, photo = disc()
    shown = make(photo, ids, style)
    assert shown.shape == (*SIZE, 3) and shown.min() >= 0 and shown.max() <= 1
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    far = (((x - 32) ** 2 + (y - 32) ** 2).sqrt() - 20).abs() > 3
    assert shown.max() > 0.2 and shown[far].max() < 0.05
    assert torch.equal(make(photo, ids, style + 4), shown)


def test_more_detail_draws_fainter_lines() -> None:
    photo = torch.full((1, *SIZE, 3), 0.5)
    photo[:, 32:] = 0.53
    for draw in (lines.edges, lines.shading):
        assert draw(photo, detail=0.0).sum() < draw(photo, detail=1.0).sum()


def test_an_edge_is_one_line() -> None:
    photo = torch.zeros(1, *SIZE, 3)
    photo[:, :, 32:] = 1
    assert (lines.edges(photo)[0] > 0).sum(1).max() == 1
    assert (lines.outlines(disc()[0][None])[0, 32] > 0).sum() == 2


def test_wider_lines_cover_more() -> None:
    ids, _ = disc()
    covered = [float(lines.outlines(ids[None], width).mean()) for width in (1.0, 16.0)]
    assert covered[1] > 3 * covered[0]
