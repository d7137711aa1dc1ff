"""Drawn faces: classes, sizes, sides, and captions that describe the drawing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mogle_core.masks.labels import CLASS_NAMES, IDS
from mogle_core.toy.drawer.anatomy import draw_anatomy
from mogle_core.toy.drawer.attributes import draw_attributes
from mogle_core.toy.drawer.drawing import compose
from mogle_core.toy.drawer.faces import HAIR_COLOURS, Face, draw_face, draw_label_map, draw_portrait, paint

pytestmark = pytest.mark.slow

SEEDS = range(200)


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    return [draw_face(seed) for seed in SEEDS]


def _has(face: Face, name: str) -> bool:
    return bool((face.ids == IDS[name]).any())


def test_ids_are_those_of_the_label_table() -> None:
    assert tuple(IDS) == CLASS_NAMES
    assert list(IDS.values()) == list(range(19))


def test_shapes_and_types(faces: list[Face]) -> None:
    for face in faces[:5]:
        assert face.ids.shape == (128, 128)
        assert face.ids.dtype == np.uint8
        assert face.picture.shape == (128, 128, 3)
        assert face.picture.dtype == np.uint8
        assert face.ids.flags.c_contiguous
        assert face.picture.flags.c_contiguous


SOMETIMES = {"eye_g", "mouth", "hat", "ear_r", "neck_l"}
EARS = {"l_ear", "r_ear"}


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_frequency_of_each_class(faces: list[Face], name: str) -> None:
    low, high = (0.1, 0.5) if name in SOMETIMES else (0.4, 0.9) if name in EARS else (1.0, 1.0)
    assert low <= np.mean([_has(face, name) for face in faces]) <= high


@pytest.mark.parametrize(
    ("name", "pixels"),
    {
        **{"l_eye": 30, "r_eye": 30, "l_brow": 16, "r_brow": 16, "u_lip": 25, "l_lip": 35, "mouth": 15},
        **{"ear_r": 9, "neck_l": 40, "eye_g": 200, "nose": 100, "hair": 60, "hat": 800},
    }.items(),
)
def test_present_classes_cover_enough_pixels(faces: list[Face], name: str, pixels: int) -> None:
    areas = [int((face.ids == IDS[name]).sum()) for face in faces if _has(face, name)]
    assert min(areas) >= pixels


def test_the_same_seed_draws_the_same_face(faces: list[Face]) -> None:
    for seed in (0, 7, 100):
        again = draw_face(seed)
        assert np.array_equal(again.ids, faces[seed].ids)
        assert np.array_equal(again.picture, faces[seed].picture)
        assert (again.caption, again.attributes) == (faces[seed].caption, faces[seed].attributes)


def test_other_seeds_draw_other_faces(faces: list[Face]) -> None:
    assert len({face.ids.tobytes() for face in faces}) == len(faces)
    assert len({face.caption for face in faces}) > 0.99 * len(faces)


def test_sizes_agree(faces: list[Face]) -> None:
    scores = []
    for seed in range(20):
        small, large = faces[seed].ids, draw_label_map(draw_portrait(seed)[0], 512)[2::4, 2::4]
        for number in np.union1d(small, large):
            a, b = small == number, large == number
            scores.append((a & b).sum() / (a | b).sum())
    assert np.mean(scores) > 0.9


def test_pictures_of_two_sizes_show_the_same() -> None:
    small, large = draw_face(3).picture.astype(float), draw_face(3, 256).picture.astype(float)
    assert np.abs(large.reshape(128, 2, 128, 2, 3).mean((1, 3)) - small).mean() < 4


def test_left_is_the_subjects_left(faces: list[Face]) -> None:
    def column(face: Face, name: str) -> float:
        return float(np.nonzero(face.ids == IDS[name])[1].mean())

    for face in faces:
        assert column(face, "l_eye") > column(face, "nose") - 3 > column(face, "r_eye") - 3
        assert column(face, "l_brow") > column(face, "r_brow")
        if _has(face, "l_ear") and _has(face, "r_ear"):
            assert column(face, "l_ear") > column(face, "l_eye") > column(face, "r_eye") > column(face, "r_ear")


def test_a_turned_head_shifts_its_features_and_hides_the_far_ear(faces: list[Face]) -> None:
    ears = {"turned right": "l_ear", "turned left": "r_ear"}
    for face in faces:
        pose = face.attributes.pose
        if pose in ears:
            assert not _has(face, ears[pose])
            skin, nose = (np.nonzero(face.ids == IDS[name])[1].mean() for name in ("skin", "nose"))
            assert (nose > skin) == (pose == "turned right")


def test_eyes_lie_where_aligned_portraits_have_them(faces: list[Face]) -> None:
    rows = [np.nonzero((face.ids == 4) | (face.ids == 5))[0].mean() / 128 for face in faces]
    assert abs(np.mean(rows) - 0.465) < 0.02
    assert max(np.abs(np.array(rows) - 0.465)) < 0.05


@pytest.mark.parametrize(
    ("name", "words"),
    [("eye_g", ["eyeglasses"]), ("hat", [" hat", " cap", " beret", " beanie"]), ("ear_r", ["earrings"]),
     ("neck_l", ["necklace"]), ("mouth", ["open mouth"])],
)  # fmt: skip
def test_the_caption_tells_what_the_map_shows(faces: list[Face], name: str, words: list[str]) -> None:
    for face in faces:
        assert any(word in face.caption for word in words) == _has(face, name), face.caption


def test_the_caption_states_the_colours(faces: list[Face]) -> None:
    for face in faces:
        said, caption = face.attributes, face.caption
        assert f"{said.hair_length} {said.hair_texture} {said.hair_colour} hair" in caption
        assert f"{said.skin_tone} skin" in caption
        assert f"{said.clothing_colour} {said.clothing}" in caption
        assert f"background is {said.background}" in caption or f"{said.background} background" in caption
        assert ("lipstick" in caption) == (said.lipstick is not None)
        assert said.lipstick is None or f"{said.lipstick} lipstick" in caption
        assert said.hat is None or f"{said.hat_colour} {said.hat}" in caption
        assert ("is not smiling" in caption) != said.smiling
        assert " a orange" not in caption
        assert caption.endswith(".")


def test_the_hairs_mean_colour_is_the_stated_one(faces: list[Face]) -> None:
    names = list(HAIR_COLOURS)
    palette = np.array([HAIR_COLOURS[name] for name in names], float)

    def nearest(face: Face) -> str:
        mean = face.picture[face.ids == IDS["hair"]].mean(0)
        return names[int(((palette - mean) ** 2).sum(1).argmin())]

    assert np.mean([nearest(face) == face.attributes.hair_colour for face in faces]) >= 0.98


def test_words_alone_change_colours_and_shapes_stay() -> None:
    rng = np.random.default_rng(5)
    said = draw_attributes(rng)
    anatomy = draw_anatomy(said, rng)
    others = [replace(said, hair_colour=colour, background="blue") for colour in ("black", "blond")]
    dark, fair = (compose(other, anatomy) for other in others)
    ids = draw_label_map(dark)
    assert np.array_equal(ids, draw_label_map(fair))
    change = np.abs(paint(dark).astype(float) - paint(fair)).mean(2)
    assert change[ids == IDS["hair"]].mean() > 60
    assert change[ids == IDS["background"]].mean() < 1


def test_a_picture_too_small_for_a_face_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 pixels"):
        draw_face(0, 8)
