"""Mask Edit, Set Region, Get Region and Morph Mask in ComfyUI."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from PIL import Image
from support.places import DATA
from torch import Tensor

MASKS = DATA / "masks"

NODES = {
    "MoGLEMaskEdit": "Mask Edit",
    "MoGLESetRegion": "Set Region",
    "MoGLEGetRegion": "Get Region",
    "MoGLEMorphMask": "Morph Mask",
}


@pytest.fixture(scope="module")
def ids(comfy: Any) -> Tensor:
    """Two portraits (2, 128, 128) without a hat, with both eyes and both ears."""
    masks = comfy.module("mogle_core.masks.decouple")
    stored = [Image.open(MASKS / f"portrait_{name}.png") for name in ("b", "long_hair")]
    return torch.cat([masks.resize(masks.decode_image(image).ids, 128, 128) for image in stored])


@pytest.fixture(scope="module")
def mask(comfy: Any, ids: Tensor) -> Tensor:
    """Their masks as an IMAGE (2, 128, 128, 3)."""
    return comfy.module("mogle_core.masks.decouple").colours(ids)


@pytest.fixture
def read(comfy: Any) -> Any:
    return lambda image: comfy.module("mogle_core.masks.decouple").decode_tensor(image, "celebamask").ids


@pytest.mark.parametrize("node_id", NODES)
def test_inputs_and_outputs_are_explained(comfy: Any, node_id: str) -> None:
    schema = comfy.module("nodes.edit").__dict__[NODES[node_id].replace(" ", "")].define_schema()
    assert (schema.node_id, schema.display_name, schema.category) == (node_id, NODES[node_id], "MoGLE")
    assert all(field.tooltip for field in (*schema.inputs, *schema.outputs))


def test_defaults_are_those_of_the_core(comfy: Any, mask: Tensor, ids: Tensor, read: Any) -> None:
    (edited,) = comfy.node("MoGLEMaskEdit")(mask=mask)
    expected = comfy.module("mogle_core.masks.edit").edit(ids, "grow", "hair", amount=8)
    assert edited.dtype == torch.float32 and torch.equal(read(edited), expected)


ORDERS = [
    {"operation": "shrink", "region": "skin", "amount": 3.5},
    {"operation": "move", "region": "nose", "dx": -5, "dy": 2},
    {"operation": "scale", "region": "all", "amount": -20.0},
    {"operation": "rotate", "region": "l_eye", "amount": 30.0},
    {"operation": "mirror", "region": "all"},
    {"operation": "swap left/right", "region": "all"},
    {"operation": "replace by", "region": "hair", "replacement": "hat"},
    {"operation": "remove", "region": "nose"},
    {"operation": "smooth", "region": "all", "amount": 2.0},
    {"operation": "grow", "region": "hair", "amount": 5.0, "locked": "background, skin"},
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order["operation"])
def test_every_operation_is_the_cores(comfy: Any, mask: Tensor, ids: Tensor, read: Any, order: Any) -> None:
    (edited,) = comfy.node("MoGLEMaskEdit")(mask=mask, **order)
    expected = comfy.module("mogle_core.masks.edit").edit(ids, **order)
    assert torch.equal(read(edited), expected) and not expected.equal(ids)


def test_each_accessory_takes_its_style(comfy: Any, mask: Tensor, ids: Tensor, read: Any) -> None:
    core = comfy.module("mogle_core.masks.edit")
    for operation, styles in core.STYLES.items():
        for style in styles:
            name = operation.removeprefix("add ")
            (edited,) = comfy.node("MoGLEMaskEdit")(mask=mask, operation=operation, region="all", **{name: style})
            assert torch.equal(read(edited), core.edit(ids, operation, style=style))


def test_grey_ids_are_read(comfy: Any, mask: Tensor, ids: Tensor) -> None:
    grey = (ids.float() / 255)[..., None].repeat(1, 1, 1, 3)
    (edited,) = comfy.node("MoGLEMaskEdit")(mask=grey, operation="mirror", region="all")
    (expected,) = comfy.node("MoGLEMaskEdit")(mask=mask, operation="mirror", region="all")
    assert torch.equal(edited, expected)


def test_a_missing_region_is_logged(comfy: Any, mask: Tensor, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        (edited,) = comfy.node("MoGLEMaskEdit")(mask=mask[:1], region="hat")
    assert torch.equal(edited, mask[:1])
    assert "the mask has no hat, so grow changed nothing" in caplog.text


def test_a_photo_is_refused(comfy: Any) -> None:
    photo = torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    for node, inputs in (("MoGLEMaskEdit", {}), ("MoGLEGetRegion", {})):
        with pytest.raises(ValueError, match="no colour of the CelebAMask-HQ palette"):
            comfy.node(node)(mask=photo, **inputs)


def test_get_region_and_set_region_are_inverse(comfy: Any, mask: Tensor, ids: Tensor, read: Any) -> None:
    (area,) = comfy.node("MoGLEGetRegion")(mask=mask, region="nose")
    assert area.dtype == torch.float32 and torch.equal(area, (ids == 2).float())
    (same,) = comfy.node("MoGLESetRegion")(mask=mask, region="nose", area=area, keep=False)
    assert torch.equal(same, mask)
    (painted,) = comfy.node("MoGLESetRegion")(mask=mask, region="hat", area=area)
    assert torch.equal(read(painted), torch.where(ids == 2, 14, ids).byte())


def test_locked_classes_are_not_painted_over(comfy: Any, mask: Tensor, ids: Tensor, read: Any) -> None:
    (painted,) = comfy.node("MoGLESetRegion")(
        mask=mask, region="hair", area=torch.ones(1, 4, 4), locked="l_eye, right eye"
    )
    eyes = (ids == 4) | (ids == 5)
    assert torch.equal(read(painted), torch.where(eyes, ids, 13).byte())


def test_a_morph_starts_and_ends_with_its_inputs(comfy: Any, mask: Tensor) -> None:
    (masks,) = comfy.node("MoGLEMorphMask")(first=mask[:1], second=mask[1:], count=4)
    assert masks.shape == (4, 128, 128, 3)
    assert torch.equal(masks[0], mask[0]) and torch.equal(masks[-1], mask[1])
    assert not any(torch.equal(masks[1], end) for end in mask)
    with pytest.raises(ValueError, match="2 and 1 masks"):
        comfy.node("MoGLEMorphMask")(first=mask, second=mask[1:], count=4)
