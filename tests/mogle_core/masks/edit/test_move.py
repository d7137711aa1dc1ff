"""Moving, scaling, rotating and mirroring whole pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.label_maps import drawn, label_maps
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.decouple import flip
from mogle_core.masks.edit import edit
from mogle_core.masks.labels import CLASS_NAMES

steps = st.integers(-16, 16)


def shifted(area: Tensor, dx: int, dy: int) -> Tensor:
    """The area (H, W), moved. Nothing enters at the edges."""
    result = torch.zeros_like(area)
    for y, x in area.nonzero().tolist():
        if 0 <= y + dy < area.shape[0] and 0 <= x + dx < area.shape[1]:
            result[y + dy, x + dx] = True
    return result


def picture(rows: list[str]) -> Tensor:
    """A map of hair (#), skin (+) and background (.)."""
    return torch.tensor([[[".+###".index(c) and (1 if c == "+" else 13) for c in row] for row in rows]]).byte()


@given(label_maps(), steps, steps, st.data())
def test_a_region_moves_and_is_cut_off_at_the_edge(ids: Tensor, dx: int, dy: int, draw: st.DataObject) -> None:
    region = draw.draw(st.sampled_from(ids.unique().tolist()))
    moved = edit(ids, "move", CLASS_NAMES[region], dx=dx, dy=dy)
    arrived = shifted(ids[0] == region, dx, dy)
    if len(ids.unique()) > 1:
        assert torch.equal(moved[0] == region, arrived)
    untouched = (ids != region) & ~arrived
    assert torch.equal(moved[untouched], ids[untouched])


@given(label_maps(), steps, steps)
def test_the_whole_map_moves_with_its_edges_continued(ids: Tensor, dx: int, dy: int) -> None:
    moved = edit(ids, "move", dx=dx, dy=dy)
    rows = (torch.arange(ids.shape[1]) - dy).clamp(0, ids.shape[1] - 1)
    columns = (torch.arange(ids.shape[2]) - dx).clamp(0, ids.shape[2] - 1)
    assert torch.equal(moved, ids[:, rows][:, :, columns])


def test_scaling_by_100_percent_doubles_both_sides() -> None:
    ids = torch.zeros(1, 20, 20, dtype=torch.uint8)
    ids[0, 8:10, 6:12] = 13
    expected = torch.zeros_like(ids)
    expected[0, 7:11, 3:15] = 13
    assert torch.equal(edit(ids, "scale", "hair", amount=100), expected)
    assert torch.equal(edit(expected, "scale", "hair", amount=-50), ids)


def test_scaling_the_whole_map_is_about_its_middle() -> None:
    ids = drawn(1)
    larger = edit(ids, "scale", amount=100)
    assert torch.equal(larger, ids[:, 24:72, 24:72].repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_scaling_to_nothing_is_refused() -> None:
    with pytest.raises(MaskError, match="-100 percent: choose more than -100, or remove"):
        edit(drawn(1), "scale", "hair", amount=-100)


def test_a_quarter_turn_is_clockwise() -> None:
    ids = picture([".....", ".#...", ".#...", ".###.", "....."])
    turned = edit(ids, "rotate", "hair", amount=90)
    assert torch.equal(turned, picture([".....", ".###.", ".#...", ".#...", "....."]))
    assert torch.equal(edit(ids, "rotate", amount=90), torch.rot90(ids, -1, (1, 2)))


@given(label_maps(), st.data())
def test_two_half_turns_and_two_mirrorings_bring_a_region_back(ids: Tensor, draw: st.DataObject) -> None:
    region = draw.draw(st.sampled_from(ids.unique().tolist()))
    for operation, amount in (("rotate", 180), ("mirror", 0)):
        once = edit(ids, operation, CLASS_NAMES[region], amount=amount)
        twice = edit(once, operation, CLASS_NAMES[region], amount=amount)
        assert torch.equal(twice == region, ids == region)


@given(label_maps(batch=2))
def test_mirroring_all_is_the_flip_and_twice_is_nothing(ids: Tensor) -> None:
    mirrored = edit(ids, "mirror")
    assert torch.equal(mirrored, flip(ids))
    assert torch.equal(edit(mirrored, "mirror"), ids)


@given(label_maps(), st.sampled_from([360, -720]))
def test_full_turns_change_nothing(ids: Tensor, degrees: int) -> None:
    for region in ("all", *CLASS_NAMES):
        assert torch.equal(edit(ids, "rotate", region, amount=degrees), ids)


@pytest.mark.parametrize("degrees", [17, 45, -60, 133])
def test_turning_keeps_the_area_but_for_its_border(degrees: float) -> None:
    ids = torch.zeros(1, 128, 128, dtype=torch.uint8)
    ids[0, 44:84, 54:74] = 13
    area = int((edit(ids, "rotate", "hair", amount=degrees) == 13).sum())
    assert abs(area - 800) < 40


def test_moving_leaves_no_hole() -> None:
    ids = drawn(1)
    moved = edit(ids, "move", "nose", dx=12, dy=3)
    assert set(moved[(ids == 2) & (moved != 2)].tolist()) == {1}
