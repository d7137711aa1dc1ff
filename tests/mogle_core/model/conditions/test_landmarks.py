"""Landmarks: from points in known orders and from label maps, drawn in colours that tell them from a label map."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from mogle_core.masks.decouple import colours, flip
from mogle_core.masks.errors import MaskError
from mogle_core.masks.labels import IDS, PALETTE
from mogle_core.model.conditions import landmarks
from mogle_core.model.conditions.landmarks import (
    COLOURS,
    DLIB,
    MEDIAPIPE,
    draw,
    from_label_map,
    from_points,
    is_drawn,
    picture,
    read_points,
)

SIZE = (96, 96)


def face() -> Tensor:
    """A label map (96, 96) of a few rectangles where a face has its parts."""
    ids = torch.zeros(SIZE, dtype=torch.uint8)
    ids[20:80, 24:72] = IDS["skin"]
    ids[28:30, 30:42], ids[28:30, 54:66] = IDS["r_brow"], IDS["l_brow"]
    ids[34:40, 31:41], ids[34:40, 55:65] = IDS["r_eye"], IDS["l_eye"]
    ids[36:56, 44:52] = IDS["nose"]
    ids[62:66, 38:58], ids[66:70, 38:58] = IDS["u_lip"], IDS["l_lip"]
    return ids


def test_known_orders_use_each_point_once() -> None:
    assert sorted(place for order in DLIB.values() for place in order) == list(range(68))
    for order in MEDIAPIPE.values():
        assert len(set(order)) == len(list(order)) and min(order) >= 0 and max(order) < 468
    assert set(DLIB) == set(MEDIAPIPE) == set(COLOURS)


@pytest.mark.parametrize("count", [68, 468, 478])
def test_points_in_a_known_order(count: int) -> None:
    points = np.random.default_rng(0).random((count, 2))
    lines = from_points(points)
    assert np.array_equal(lines["jaw"][0], points[0 if count == 68 else 127])
    same = read_points(json.dumps(points.tolist()))
    assert all(np.array_equal(same[name], lines[name]) for name in lines)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[0.1, 0.2]]", "1 landmarks were given; expected 68"),
        ("no", "not JSON"),
        ('{"ear": [[0, 0]]}', "no line 'ear'"),
        ('{"jaw": [[0]]}', "two numbers each"),
        ('{"jaw": [["a", 0]]}', "two numbers each"),
        ('{"jaw": [[120, 40]]}', "Divide pixels by the picture's size"),
    ],
)
def test_points_that_cannot_be_used(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_points(text)


def test_a_label_maps_shapes_give_the_lines() -> None:
    lines = from_label_map(face().numpy())
    assert set(lines) == set(COLOURS) - {"mouth"}
    for name, (left, right, top, bottom) in {
        "r_eye": (31, 41, 34, 40),
        "l_brow": (54, 66, 28, 30),
        "lips": (38, 58, 62, 70),
    }.items():
        x, y = lines[name].T * 96
        assert (left <= x).all() and (x <= right).all() and (top <= y).all() and (y <= bottom).all(), name
        assert x.min() < left + 2 and x.max() > right - 2
    jaw = lines["jaw"] * 96
    assert len(jaw) == 17 and abs(jaw[0, 0] - 24.5) < 1.5 and abs(jaw[-1, 0] - 71.5) < 1.5
    assert jaw[:, 1].max() > 76


@pytest.mark.parametrize("gap", [(37, 56), (40, 44), (45, 50)])
def test_a_nose_in_two_pieces_has_finite_points(gap: tuple[int, int]) -> None:
    ids = face()
    ids[gap[0] : gap[1], 44:52] = IDS["skin"]
    ids[75:77, 60:62] = IDS["nose"]
    lines = from_label_map(ids.numpy())
    assert all(np.isfinite(points).all() for points in lines.values())
    assert float((draw(lines, SIZE) > 0).any(-1).float().mean()) < 0.1


def test_the_mirrored_map_gives_the_mirrored_lines() -> None:
    straight, turned = from_label_map(face().numpy()), from_label_map(flip(face()[None])[0].numpy())
    left, right = straight["l_eye"][:, 0], turned["r_eye"][:, 0]
    assert np.allclose(sorted(1 - left), sorted(right), atol=0.02)


def test_an_empty_map_has_no_lines() -> None:
    assert from_label_map(np.zeros(SIZE, np.uint8)) == {}
    assert draw({}, SIZE).max() == 0


def test_drawn_landmarks_are_told_from_label_maps() -> None:
    drawn = picture(colours(face()[None]), SIZE)
    assert drawn.shape == (1, *SIZE, 3)
    assert is_drawn(drawn) and not is_drawn(colours(face()[None])) and not is_drawn(torch.zeros(1, *SIZE, 3))
    assert torch.equal(picture(drawn, SIZE), drawn)
    assert picture(drawn, (48, 48)).shape == (1, 48, 48, 3)
    assert not set(COLOURS.values()) & set(PALETTE)


def test_every_line_has_its_colour() -> None:
    drawn = (picture(colours(face()[None]), (384, 384))[0] * 255).round().long()
    shown = {tuple(colour.tolist()) for colour in drawn.flatten(0, 1).unique(dim=0)}
    assert {COLOURS[name] for name in set(COLOURS) - {"mouth"}} < shown


def test_a_photo_is_refused() -> None:
    torch.manual_seed(0)
    with pytest.raises(MaskError):
        picture(torch.rand(1, *SIZE, 3), SIZE)


def test_made_for_training_as_in_the_node() -> None:
    made = landmarks.make(torch.rand(*SIZE, 3), face(), 5)
    assert torch.equal(made, picture(colours(face()[None]), SIZE)[0])
