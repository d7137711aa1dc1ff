"""Raw ids of every label space are recognised on the reference masks; nearly all other maps stay CelebAMask-HQ."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.places import DATA
from torch import Tensor

from mogle_core.masks.decode import decode_image, decode_tensor
from mogle_core.masks.decouple import flip
from mogle_core.masks.label_space import evidence, layout, likeliest_space
from mogle_core.masks.labels import CLASS_NAMES, FLIPPED, GUESSED, LABEL_SPACES, NUM_CLASSES

MASKS = DATA / "masks"
NAMES = sorted(path.stem for path in MASKS.glob("*.png"))

# What a parser that lacks a class marks in its place.
IN_ITS_PLACE = {
    "lapa": {"neck": "skin"},
    "mediapipe": {name: "skin" for name in ("nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")},
}


def label_map(name: str) -> Tensor:
    return decode_image(Image.open(MASKS / f"{name}.png")).ids


def source_ids(ids: Tensor, space: str) -> Tensor:
    """The ids that a parser with this label space would have stored."""
    of_class = {c: source for source, c in reversed(list(enumerate(LABEL_SPACES[space])))}
    place = IN_ITS_PLACE.get(space, {})
    instead = {c: CLASS_NAMES.index(place.get(CLASS_NAMES[c], "background")) for c in range(NUM_CLASSES)}
    table = [of_class[c] if c in of_class else of_class[instead[c]] for c in range(NUM_CLASSES)]
    return torch.tensor(table)[ids.long()]


@pytest.mark.parametrize("space", GUESSED)
@pytest.mark.parametrize("name", NAMES)
def test_the_space_of_raw_ids_is_found(name: str, space: str) -> None:
    raw = source_ids(label_map(name), space)
    decoded = decode_tensor(raw / 255)
    assert decoded.label_space == space
    assert torch.equal(decoded.ids, torch.tensor(LABEL_SPACES[space], dtype=torch.uint8)[raw])


@pytest.mark.parametrize("space", GUESSED)
@pytest.mark.parametrize("name", NAMES)
def test_left_and_right_do_not_decide(name: str, space: str) -> None:
    ids = label_map(name)
    mislabelled = torch.tensor(FLIPPED, dtype=torch.uint8)[ids.long()]
    for variant in (flip(ids), mislabelled, ids.flip(-1)):
        assert likeliest_space(source_ids(variant, space)) == space


@pytest.mark.parametrize("name", NAMES)
def test_a_face_keeps_its_relations_and_loses_them_upside_down(name: str) -> None:
    ids = label_map(name).long()
    upright, overturned = (
        evidence(layout(picture).renamed(LABEL_SPACES["celebamask"])) for picture in (ids, ids.flip(1))
    )
    assert sum(upright) > 0.9 * len(upright)
    assert sum(overturned) < 0.5 * sum(upright)


@pytest.mark.parametrize("classes", [(0,), (1,), (0, 1), (0, 1, 13), (0, 1, 2), (0, 13), (0, 3), (0, 4, 5)])
def test_maps_of_few_classes_stay_celebamask(classes: tuple[int, ...]) -> None:
    raw = torch.zeros(1, 64, 64, dtype=torch.int64)
    for inset, class_id in enumerate(classes):
        raw[:, 8 * inset : 64 - 8 * inset, 8 * inset : 64 - 8 * inset] = class_id
    assert likeliest_space(raw) == "celebamask"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(NAMES), absent=st.sets(st.integers(1, 18)))
def test_a_celebamask_face_without_some_classes_stays_celebamask(name: str, absent: set[int]) -> None:
    table = torch.tensor([0 if c in absent else c for c in range(NUM_CLASSES)])
    assert likeliest_space(table[label_map(name)[:, ::4, ::4].long()]) == "celebamask"


def test_a_batch_is_of_one_space() -> None:
    batch = torch.cat([source_ids(label_map(name), "farl") for name in NAMES])
    assert decode_tensor(batch / 255).label_space == "farl"


def test_the_guess_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    raw = source_ids(label_map("portrait_a"), "bisenet")
    with caplog.at_level(logging.INFO):
        decode_tensor(raw / 255)
    assert "read as bisenet" in caplog.text


def test_colours_are_never_guessed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        decode_image(Image.open(MASKS / "portrait_a.png"))
    assert caplog.text == ""


def test_the_layout_counts() -> None:
    seen = layout(torch.tensor([[[0, 0, 1], [2, 2, 1]]]))
    assert seen.area.tolist() == [2, 2, 2]
    assert seen.rows.tolist() == [0, 1, 2]
    assert seen.contact.tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert seen.share_of_outline((0,), (2,)) == pytest.approx(2 / 3)
    assert seen.share_of_outline((0, 1), (2,)) == 1
