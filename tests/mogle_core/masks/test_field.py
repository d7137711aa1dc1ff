"""Masks as people have them: each file of tests/data/field gives what is right for it, or its sentence."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
import torch
from PIL import Image
from support.places import DATA
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mogle_core.masks.decode import LabelMap, MaskError, decode_image

FIELD = DATA / "field"
REFUSED = {
    "ids_in_red_only": "red channel.*class ids in one channel",
    "ffhq_uv_01223_final_seg_result": "several id maps",
    "zllrunning_hair": "Choose the label space",
}


def read(name: str) -> LabelMap:
    return decode_image(Image.open(FIELD / f"{name}.png"))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(MaskError, match=REFUSED[name]):
        read(name)


@pytest.mark.parametrize("name", ["bisenet_colours_small_in_frame", "bisenet_colours_quantised"])
def test_bisenets_drawing_colours_are_read(name: str) -> None:
    found = read(name)
    assert found.label_space == "bisenet"
    assert len(found.ids.unique()) == 14
    assert found.off_palette == 0


def test_maskgans_palette_has_all_its_classes() -> None:
    assert read("maskgan_palette").ids.unique().tolist() == [0, 1, 2, 4, 5, 6, 7, 9, 11, 12, 13, 15, 16, 17, 18]


def test_the_upper_half_of_a_face_in_farls_ids_is_farls() -> None:
    assert read("farl_ids_top_half").label_space == "farl"


def test_ids_times_257_are_ids(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert read("ids_times_257_16bit").ids.unique().tolist() == [0, 1, 2, 4, 5, 6, 7, 9, 11, 12, 13, 15, 16, 17, 18]
    assert "times 257" in caplog.text


class Operations(TorchDispatchMode):
    """Counts torch's operations, and the elements of what they return."""

    count = elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.count += 1
        self.elements += sum(each.numel() for each in tree_leaves(result) if isinstance(each, torch.Tensor))
        return result


def test_a_crafted_map_is_read_in_a_bounded_number_of_operations() -> None:
    """A loop over regions, or over pixels, would show in one of the three counts."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    with Operations() as operations:
        read("fill_512")
    with Image.open(FIELD / "fill_512.png") as image:
        image.load()
        sys.setprofile(count)
        try:
            decode_image(image)
        finally:
            sys.setprofile(None)
    assert 0 < operations.count < 2000
    assert operations.elements < 200 * image.width * image.height
    assert 0 < calls < 40_000
