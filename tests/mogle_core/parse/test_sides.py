"""Left and right by position: mirrored ids are corrected, right ones stay, and unclear parts are reported."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image
from support.places import DATA
from torch import Tensor

from mogle_core.masks.decode import decode_image
from mogle_core.masks.decouple import flip
from mogle_core.masks.labels import CLASSES, FLIPPED, NUM_CLASSES, PAIRS
from mogle_core.parse.sides import components, find_middle, fix_left_right
from mogle_core.toy.drawer.faces import draw_label_map, draw_portrait

MASKS = DATA / "masks"
IDS = {c.name: c.id for c in CLASSES}
SWAP = torch.tensor(FLIPPED, dtype=torch.uint8)


@pytest.fixture(scope="module")
def faces() -> Tensor:
    """500 drawn faces (500, 128, 128): the label maps of `draw_face`, without the images."""
    return torch.stack([torch.from_numpy(draw_label_map(draw_portrait(seed)[0], 128)) for seed in range(500)])


def stored() -> Tensor:
    return torch.cat([decode_image(Image.open(path)).ids for path in sorted(MASKS.glob("*.png"))])


def face(**parts: tuple[float, float, float, float]) -> Tensor:
    """A face of 64 x 64 pixels: skin, nose and mouth, plus parts given by name as (x, y, width, height)."""
    ids = torch.zeros(1, 64, 64, dtype=torch.uint8)
    plain = {"skin": (12, 8, 40, 50), "nose": (29, 28, 6, 10), "u_lip": (25, 44, 14, 4)}
    for name, (x, y, width, height) in {**plain, **parts}.items():
        ids[0, int(y) : int(y + height), int(x) : int(x + width)] = IDS[name.rstrip("_")]
    return ids


def test_pairs_are_eyes_brows_and_ears() -> None:
    assert PAIRS == ((4, 5), (6, 7), (8, 9))


@pytest.mark.slow
def test_right_faces_stay_and_mirrored_ids_are_corrected(faces: Tensor) -> None:
    swapped = SWAP[faces.long()]
    assert (swapped != faces).flatten(1).any(1).sum() > 490, "faces with no sided part prove nothing"
    for given in (faces, swapped):
        found, undecided = fix_left_right(given)
        assert torch.equal(found, faces)
        assert undecided == ()


def test_stored_masks_of_photos_likewise() -> None:
    ids = stored()
    assert torch.equal(fix_left_right(ids)[0], ids)
    assert torch.equal(fix_left_right(SWAP[ids.long()])[0], ids)


def test_a_mirrored_picture_has_mirrored_sides(faces: Tensor) -> None:
    mirrored = flip(faces[:20])
    assert torch.equal(fix_left_right(faces[:20].flip(-1))[0], mirrored)


def test_a_parser_that_knows_one_side_only(faces: Tensor) -> None:
    """It labels all eyes as left eyes and all brows as right brows."""
    table = torch.arange(NUM_CLASSES, dtype=torch.uint8)
    table[IDS["r_eye"]], table[IDS["l_brow"]] = IDS["l_eye"], IDS["r_brow"]
    found = fix_left_right(table[faces[:100].long()])[0]
    assert (found == faces[:100]).flatten(1).all(1).float().mean() > 0.9
    assert (found == faces[:100]).float().mean() > 0.999


@pytest.mark.parametrize("degrees", [-35, 35])
def test_a_tilted_head(degrees: float) -> None:
    ids = stored()[:1]
    turned = _turned(ids, degrees)
    found, undecided = fix_left_right(SWAP[turned.long()])
    assert torch.equal(found, turned)
    assert undecided == ()


def _turned(ids: Tensor, degrees: float) -> Tensor:
    angle = math.radians(degrees)
    matrix = torch.tensor([[[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]])
    grid = torch.nn.functional.affine_grid(matrix, [1, 1, *ids.shape[1:]], align_corners=False)
    return torch.nn.functional.grid_sample(ids[None].float(), grid, mode="nearest", align_corners=False)[0].byte()


def test_a_single_eye_is_decided_by_the_middle_of_the_face() -> None:
    for x, right in ((16, "r_eye"), (40, "l_eye")):
        for given in ("l_eye", "r_eye"):
            found, undecided = fix_left_right(face(**{given: (x, 20, 8, 4)}))
            assert torch.equal(found, face(**{right: (x, 20, 8, 4)}))
            assert undecided == ()


def test_a_turned_head_is_decided_by_the_order_of_its_eyes() -> None:
    """Both eyes lie on the image's right of nose and mouth."""
    turned = face(r_eye=(33, 20, 6, 4), l_eye=(46, 20, 6, 4))
    assert torch.equal(fix_left_right(SWAP[turned.long()])[0], turned)


def test_a_speck_of_the_other_side_joins_its_eye() -> None:
    speckled = face(r_eye=(16, 20, 8, 4), l_eye=(40, 20, 8, 4), l_eye_=(18, 21, 2, 2))
    assert torch.equal(fix_left_right(speckled)[0], face(r_eye=(16, 20, 8, 4), l_eye=(40, 20, 8, 4)))


def test_joined_brows_are_split_in_the_middle() -> None:
    found, undecided = fix_left_right(face(l_brow=(14, 14, 36, 3)))
    assert torch.equal(found, face(r_brow=(14, 14, 18, 3), l_brow=(32, 14, 18, 3)))
    assert undecided == ()


def test_a_part_on_the_middle_stays_and_is_reported() -> None:
    ids = face(l_eye=(30, 20, 4, 4))
    found, undecided = fix_left_right(torch.cat((face(), ids)))
    assert torch.equal(found[1:], ids)
    assert undecided == ("picture 2: one eye of 16 pixels lies on the face's middle and stays left eye.",)


def test_without_a_face_nothing_changes_and_it_is_reported() -> None:
    ids = torch.zeros(1, 16, 16, dtype=torch.uint8)
    ids[0, 4:6, 2:5] = IDS["r_ear"]
    ids[0, 4:6, 8:12] = IDS["l_eye"]
    found, undecided = fix_left_right(ids)
    assert torch.equal(found, ids)
    assert undecided == (
        "eyes could not be told left from right: there is neither nose, mouth nor skin beside them.",
        "ears could not be told left from right: there is neither nose, mouth nor skin beside them.",
    )


def test_the_given_map_is_not_changed() -> None:
    ids = face(l_eye=(16, 20, 8, 4))
    before = ids.clone()
    fix_left_right(ids)
    assert torch.equal(ids, before)


def test_the_middle_of_an_upright_face() -> None:
    middle = find_middle(face(l_eye=(40, 20, 8, 4), r_eye=(16, 20, 8, 4))[0])
    assert middle is not None
    assert middle.right == pytest.approx((1, 0))
    assert middle.offset == pytest.approx(31.5)


def test_components_join_at_corners_and_along_winding_paths() -> None:
    region = torch.zeros(9, 40, dtype=torch.bool)
    region[0::2] = True  # five bars, joined at alternating ends
    region[1, -1] = region[3, 0] = region[5, -1] = True
    region[8, 20] = False  # the last bar is apart, and broken
    labels = components(region)
    assert torch.equal(labels > 0, region)
    assert len(labels[region].unique()) == 3
    assert len(labels[:7][region[:7]].unique()) == 1
    diagonal = torch.eye(5, dtype=torch.bool)
    assert len(components(diagonal)[diagonal].unique()) == 1
