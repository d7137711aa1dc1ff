"""What every operation guarantees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support.label_maps import drawn, label_maps, names
from torch import Tensor

from mogle_core.masks.decode import MaskError
from mogle_core.masks.edit import OPERATIONS, STYLES, edit
from mogle_core.masks.labels import CLASS_NAMES

WITH_AMOUNT = ("grow", "shrink", "move", "scale", "rotate", "smooth")
WITH_ALL = ("move", "scale", "rotate", "mirror", "swap left/right", "smooth")
SIDED = ("l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear")

operations = st.sampled_from(list(OPERATIONS))
amounts = st.fixed_dictionaries(
    {
        "amount": st.integers(0, 9) | st.floats(0, 99, width=16),
        "dx": st.integers(-9, 9),
        "dy": st.integers(-9, 9),
        "replacement": names,
    }
)
regions = st.sampled_from(["all", *CLASS_NAMES])


def tried(ids: Tensor, operation: str, region: str, **order: Any) -> Tensor:
    """The edited map. An edit that is refused, for a reason that is tested elsewhere, is skipped."""
    try:
        return edit(ids, operation, region, **order)
    except MaskError:
        assume(False)
        raise


@given(label_maps(batch=2), operations, regions, amounts)
def test_the_result_is_a_label_map_of_the_same_size(ids: Tensor, operation: str, region: str, order: Any) -> None:
    given_ids = ids.clone()
    result = tried(ids, operation, region, **order)
    assert result.shape == ids.shape and result.dtype == torch.uint8 and int(result.max()) < 19
    assert torch.equal(ids, given_ids), "what was given is not written on"


@given(label_maps(), operations, regions, amounts, st.sets(names, max_size=4))
def test_locked_classes_neither_lose_nor_gain(
    ids: Tensor, operation: str, region: str, order: Any, locked: set[str]
) -> None:
    result = tried(ids, operation, region, **order, locked=", ".join(locked))
    for name in locked:
        c = CLASS_NAMES.index(name)
        assert torch.equal(result == c, ids == c), name


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_locked_classes_stay_on_a_face(operation: str) -> None:
    ids, locked = drawn(2, 8), ("background", "l_eye", "cloth", "u_lip")
    result = edit(ids, operation, "l_brow", amount=20, dx=9, dy=4, replacement="skin", locked=",".join(locked))
    assert not result.equal(ids)
    for name in locked:
        c = CLASS_NAMES.index(name)
        assert torch.equal(result == c, ids == c), name


@given(label_maps(batch=2), st.sampled_from(WITH_AMOUNT), regions)
def test_at_amount_0_nothing_changes(ids: Tensor, operation: str, region: str) -> None:
    if region == "all" and operation not in WITH_ALL:
        return
    assert torch.equal(edit(ids, operation, region, amount=0, dx=0, dy=0), ids)


@given(label_maps(batch=3), operations, regions, amounts)
def test_each_map_of_a_batch_is_edited_by_itself(ids: Tensor, operation: str, region: str, order: Any) -> None:
    together = tried(ids, operation, region, **order)
    assert torch.equal(together, torch.cat([edit(item[None], operation, region, **order) for item in ids]))


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_a_region_that_is_not_there_changes_nothing(operation: str) -> None:
    if operation in STYLES:
        return
    ids = edit(drawn(1), "remove", "l_brow")
    expected = edit(ids, operation, "l_brow", amount=5, dx=3, replacement="hat")
    if operation == "swap left/right":
        assert torch.equal(expected == 6, ids == 7)
    else:
        assert torch.equal(expected, ids)


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_a_map_of_one_pixel_is_edited_or_refused_in_a_sentence(operation: str) -> None:
    for c in range(19):
        ids = torch.full((1, 1, 1), c, dtype=torch.uint8)
        try:
            assert edit(ids, operation, CLASS_NAMES[c], amount=3, dx=1).shape == (1, 1, 1)
        except MaskError as complaint:
            assert str(complaint).endswith(".") and len(str(complaint)) > 40


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o not in WITH_ALL and o not in STYLES])
def test_what_works_on_one_class_says_so(operation: str) -> None:
    with pytest.raises(MaskError, match=f"{operation.capitalize()} works on one class: choose a region"):
        edit(drawn(1), operation, "all", amount=3)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (("erode", "hair"), "no operation 'erode'; there are grow, shrink"),
        (("grow", "beard"), "no class 'beard'; the classes are background, skin"),
        (("grow", "hair", "locked", "hair"), "hair is to be changed and is locked"),
        (("replace by", "hair", "locked", "background"), "background is to be changed and is locked"),
        (("add hat", "all", "locked", "hat"), "hat is to be changed and is locked"),
        (("swap left/right", "l_eye", "locked", "right eye"), "r_eye is to be changed and is locked"),
        (("add hat", "all", "style", "round"), "no style 'round' of add hat: choose beanie or brim or cap"),
        (("grow", "hair", "style", "round"), "no style 'round' of grow: it has none"),
    ],
)
def test_impossible_edits_are_refused(order: tuple[str, ...], sentence: str) -> None:
    operation, region, *more = order
    with pytest.raises(MaskError, match=sentence):
        edit(drawn(1), operation, region, **dict(zip(more[::2], more[1::2], strict=True)))


def test_what_is_no_label_map_is_refused() -> None:
    with pytest.raises(MaskError, match="float32"):
        edit(torch.zeros(1, 4, 4), "grow", "hair")
    with pytest.raises(MaskError, match="id 19"):
        edit(torch.full((1, 4, 4), 19, dtype=torch.uint8), "grow", "hair")


def test_titles_are_names_too() -> None:
    ids = drawn(1)
    assert torch.equal(edit(ids, "grow", "left eye", amount=2), edit(ids, "grow", " L_Eye ", amount=2))
