"""Mask Score in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.decouple import colours, resize
from mogle_core.masks.labels import CLASSES, FLIPPED, NUM_CLASSES
from mogle_core.masks.score import boundary_f1, class_ious, difference, merge_sides, outline, score, table, within

IDS = {c.name: c.id for c in CLASSES}


def square(left: int, top: int, side: int = 20, number: int = 13, size: int = 64) -> Tensor:
    """A square of one class on background, (1, size, size)."""
    ids = torch.zeros(1, size, size, dtype=torch.uint8)
    ids[0, top : top + side, left : left + side] = number
    return ids


@st.composite
def label_maps(draw: st.DrawFn) -> Tensor:
    ids = draw(st.lists(st.integers(0, 18), min_size=48, max_size=48))
    return torch.tensor(ids, dtype=torch.uint8).view(1, 6, 8)


@settings(deadline=None)
@given(label_maps())
def test_a_map_scores_perfectly_against_itself(ids: Tensor) -> None:
    result = score(ids, ids)
    present = torch.tensor([bool((ids == number).any()) for number in range(NUM_CLASSES)])
    for values in (result.ious, result.outlines):
        assert torch.equal(~values[0].isnan(), present)
        assert (values[0][present] == 1).all()
    assert result.merged.item() == result.accuracy.item() == 1
    assert torch.equal(difference(ids, ids), 0.6 + 0.2 * colours(ids))


@pytest.mark.slow
@settings(deadline=None)
@given(label_maps(), label_maps())
def test_scores_are_symmetric_and_lie_between_0_and_1(first: Tensor, second: Tensor) -> None:
    there, back = score(first, second), score(second, first)
    for name in ("ious", "outlines", "merged", "accuracy"):
        values = getattr(there, name)
        torch.testing.assert_close(values, getattr(back, name), equal_nan=True)
        assert ((values >= 0) & (values <= 1) | values.isnan()).all()
    either = torch.tensor([bool((first == n).any() | (second == n).any()) for n in range(NUM_CLASSES)])
    assert torch.equal(~there.ious[0].isnan(), either)


def test_a_square_moved_by_half_its_width() -> None:
    wanted, found = square(10, 10), square(20, 10)
    result = score(found, wanted)
    hair, background = 1 / 3, (64 * 64 - 600) / (64 * 64 - 200)
    assert result.ious[0, IDS["hair"]].item() == pytest.approx(hair)
    assert result.ious[0, 0].item() == pytest.approx(background)
    assert result.mean_ious.item() == pytest.approx((hair + background) / 2)
    assert result.accuracy.item() == pytest.approx(1 - 400 / 64**2)


def test_a_class_in_one_map_only_counts_as_missed() -> None:
    result = score(square(10, 10, number=IDS["hat"]), square(10, 10))
    assert result.ious[0, [IDS["hat"], IDS["hair"], 0]].tolist() == [0, 0, 1]
    assert result.outlines[0, [IDS["hat"], IDS["hair"]]].tolist() == [0, 0]
    assert result.mean_ious.item() == pytest.approx(1 / 3)


def test_swapped_sides_are_perfect_if_sides_count_as_one() -> None:
    wanted = torch.cat((square(4, 4, 8, IDS["l_eye"]), square(40, 4, 8, IDS["r_ear"])))
    found = torch.tensor(FLIPPED, dtype=torch.uint8)[wanted.long()]
    result = score(found, wanted)
    assert (result.mean_ious < 0.5).all()
    assert result.merged.tolist() == [1, 1]
    assert merge_sides(torch.arange(19, dtype=torch.uint8)[None, None]).flatten().tolist() == [
        *(0, 1, 2, 3, 4, 4, 6, 6, 8, 8),
        *range(10, 19),
    ]


def test_an_outline_is_the_regions_edge_and_not_the_images() -> None:
    region = square(10, 10, 5, size=20) > 0
    edge = outline(region)
    assert int(edge.sum()) == 16 and bool((edge <= region).all())
    assert not outline(torch.ones(1, 8, 8, dtype=torch.bool)).any()


@pytest.mark.parametrize("reach", [0, 1, 1.5, 2.9, 5.4, 40])
def test_within_is_a_disc(reach: float) -> None:
    marked = torch.zeros(1, 15, 23, dtype=torch.bool)
    marked[0, 6, 4] = marked[0, 14, 22] = True
    rows, columns = torch.meshgrid(torch.arange(15), torch.arange(23), indexing="ij")
    distances = [torch.hypot((rows - y).double(), (columns - x).double()) for y, x in ((6, 4), (14, 22))]
    assert torch.equal(within(marked, reach)[0], torch.minimum(*distances) <= reach)


def test_an_outline_may_be_off_by_the_tolerance() -> None:
    """It is 5.43 at 512 pixels: five pixels are tolerated, six are not where the outlines are parallel."""
    wanted = square(100, 100, 200, size=512)
    assert 0.0075 * math.hypot(512, 512) == pytest.approx(5.43, abs=0.01)
    assert boundary_f1(square(105, 100, 200, size=512), wanted)[0, IDS["hair"]].item() == 1
    off = boundary_f1(square(106, 100, 200, size=512), wanted)[0, IDS["hair"]].item()
    assert 0.4 < off < 0.6, "the two edges across the shift are lost, those along it are not"


def test_one_class_all_over_has_no_outline_and_is_right_or_wrong() -> None:
    hair, skin = (torch.full((1, 8, 8), number, dtype=torch.uint8) for number in (13, 1))
    assert boundary_f1(hair, hair)[0, 13].item() == 1
    assert boundary_f1(hair, skin)[0, [1, 13]].tolist() == [0, 0]


def test_the_best_of_a_batch_against_one_mask_of_another_size() -> None:
    wanted = square(10, 10)
    found = resize(torch.cat((square(14, 10), square(11, 10), square(30, 30))), 128, 128)
    result = score(found, wanted)
    assert result.best_index == 1
    larger = resize(wanted, 128, 128).expand(3, -1, -1)
    torch.testing.assert_close(class_ious(found, larger), result.ious, equal_nan=True)


def test_numbers_of_maps_that_do_not_match_are_refused() -> None:
    with pytest.raises(MaskError, match="2 masks and 3 pictures"):
        score(square(1, 1).expand(3, -1, -1), square(1, 1).expand(2, -1, -1))


def test_the_difference_shows_the_actual_class_where_it_is_wrong() -> None:
    wanted, found = square(10, 10), square(20, 10)
    shown = difference(found, wanted)
    assert shown[0, 15, 35].tolist() == colours(found)[0, 15, 35].tolist(), "hair where none was asked for"
    assert shown[0, 15, 12].tolist() == [0, 0, 0], "background where hair was asked for"
    assert shown[0, 15, 25].min() >= 0.6, "hair where it belongs"
    assert shown[0, 0, 0].tolist() == pytest.approx([0.6] * 3)


def test_the_table_has_a_row_for_each_picture_and_each_class() -> None:
    found = torch.cat((square(10, 10), square(20, 10)))
    lines = table(score(found, square(10, 10))).splitlines()
    assert lines[0] == "| picture | mean IoU | left and right as one | boundary F1 | pixels right |"
    assert lines[2] == "| 0 | 1.000 | 1.000 | 1.000 | 1.000 |"
    assert lines[3].startswith("| 1 | 0.6")
    assert [line.split(" | ")[0] for line in lines[7:]] == ["| background", "| hair"]
    assert lines[8].startswith("| hair | 0.667 |")
